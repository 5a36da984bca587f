//! A page of attack strings in every field of every record: nothing runs, nothing loads, nothing breaks.
//!
//! The records are made from `docs/records.schema.json`, so that a field that is added tomorrow is attacked tomorrow.

use super::browser::{Browser, browser};
use crate::common::{root, run};
use llm_bench::record::fixture;
use serde_json::{Map, Value, json};
use std::fs;

/// Ways out of text, attribute, script, style, comment, Markdown, template and terminal, each of which would leave a mark.
const ATTACK: &str = "<script>window.pwned=1</script>\"><img src=x onerror=\"window.pwned=2\">' onmouseover='window.pwned=3' x='\
    </script><script>window.pwned=4</script></style><style>*{display:none}</style></title></textarea></template></noscript>\
    <!-- --><svg onload=window.pwned=5><iframe srcdoc=\"<script>parent.pwned=6</script>\"></iframe>]]>\u{2028}\u{2029}\u{202e}\u{0}\u{1b}[2J\
    <base href=http://base.example/><link rel=stylesheet href=http://css.example/><meta http-equiv=refresh content=0;url=http://go.example/>\
    [a](javascript:window.pwned=7) ![b](http://picture.example/b.png) <http://auto.example/> {{7*7}} ${window.pwned=8} \\u003cscript\\u003e\
    javascript:window.pwned=9 data:text/html,<script>parent.pwned=10</script> http://plain.example/ =cmd|' /C calc'!A0";

/// A value for a place of the schema: whatever is text there is `word`, also the names of maps.
fn filled(schema: &Value, def: &Value, word: &str, number: f64) -> Value {
    if let Some(name) = def["$ref"].as_str() {
        return filled(schema, &schema["$defs"][name.rsplit('/').next().unwrap()], word, number);
    }
    if let Some(value) = def.get("const") {
        return value.clone();
    }
    if let Some(values) = def["enum"].as_array() {
        return values.iter().rfind(|value| !value.is_null()).unwrap().clone();
    }
    // The last of several is what a field is when all is well: measured, not warm-up.
    for several in ["anyOf", "oneOf"] {
        if let Some(some) = def[several].as_array() {
            let some = some.iter().rfind(|def| def["type"] != "null").unwrap();
            return filled(schema, some, word, number);
        }
    }
    let kinds: Vec<&str> = match &def["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        // What a server says raw can be anything.
        _ => return json!({ word: [word, { word: word }] }),
    };
    match kinds.into_iter().find(|kind| *kind != "null").unwrap() {
        "string" => word.into(),
        "boolean" => true.into(),
        "integer" => json!(number.ceil() as u64),
        "number" => number.into(),
        "array" => {
            if let Some(items) = def["prefixItems"].as_array() {
                return items.iter().map(|item| filled(schema, item, word, number)).collect();
            }
            let item = def.get("items").unwrap_or(&Value::Null);
            let n = def["minItems"].as_u64().unwrap_or(2);
            (0..n).map(|_| filled(schema, item, word, number)).collect()
        }
        _ => {
            let mut fields = Map::new();
            for (name, def) in def["properties"].as_object().into_iter().flatten() {
                fields.insert(name.clone(), filled(schema, def, word, number));
            }
            if let Some(more) = def.get("additionalProperties").filter(|more| more.is_object()) {
                fields.insert(word.into(), filled(schema, more, word, number));
            }
            fields.into()
        }
    }
}

/// A stream of every record type with this word in every field; of results one that failed and twelve that did not.
fn stream(word: &str) -> String {
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(root().join("docs/records.schema.json")).unwrap()).unwrap();
    let mut lines = String::new();
    for one in schema["oneOf"].as_array().unwrap() {
        let name = one["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        let record = filled(&schema, one, word, 0.5);
        assert_eq!(record["type"], name);
        let n = if name == "result" { 13 } else { 2 };
        for at in 0..n {
            let mut record = record.clone();
            for stamp in ["start_ts", "started_ts", "ts"] {
                if record.get(stamp).is_some() {
                    record[stamp] = json!(1_795_278_202.5 + f64::from(at) * 1.7);
                }
            }
            if record.get("ended_ts").is_some() {
                record["ended_ts"] = json!(1_795_278_203.5 + f64::from(at) * 1.7);
                record["baseline_ts"] = json!([1_795_278_200.0, 1_795_278_202.0]);
            }
            if name == "result" {
                record["id"] = (at + 1).into();
                if at > 0 {
                    record["error"] = Value::Null;
                    record["errors"] = json!({});
                }
                record["generation_time_seconds"] = json!(1.0 + f64::from(at) / 10.0);
            }
            lines.push_str(&format!("{record}\n"));
        }
    }
    lines
}

/// How many elements of each kind the page has, answers' own Markdown left out, when all that opens is open.
fn shape(browser: &mut Browser) -> Value {
    browser.eval("document.querySelectorAll('tr.group .open').forEach((e) => e.click())");
    browser.eval("document.querySelectorAll('details').forEach((e) => { e.open = true; })");
    browser.eval("document.querySelectorAll('[data-tip]').forEach((e) => ['pointermove', 'mousemove', 'mouseover', 'pointerover'].forEach((k) => e.dispatchEvent(new MouseEvent(k, { bubbles: true }))))");
    browser.settle();
    browser.eval(
        "(() => { const n = {}; for (const e of document.querySelectorAll('*')) if (!e.closest('.prose')) \
         { const k = e.closest('svg') ? 'svg' : e.localName; n[k] = (n[k] ?? 0) + (k === 'svg' ? 0 : 1); } \
         n.sections = [...document.querySelectorAll('main > section')].map((s) => s.id + (s.hidden ? ' hidden' : '')).join(); return n; })()",
    )
}

#[test]
fn in_a_browser_attack_strings_in_every_field_run_nothing_load_nothing_and_break_nothing() {
    let Some(mut browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("index.html");
    let mut shapes = Vec::new();
    // Words that are harmless, words that are markup, and words that are something to a script.
    for word in ["harmless", ATTACK, "__proto__", "constructor", "hasOwnProperty"] {
        // Every line can be read: what is not could not attack.
        run("bench-report", ["-o", page.to_str().unwrap()], stream(word)).exits(0);
        browser.open(&page, "");
        let shape = shape(&mut browser);
        let (asked, said) = browser.requests_and_complaints();
        let start: String = word.chars().take(20).collect();
        assert_eq!(said, Vec::<String>::new(), "{start}");
        assert_eq!(asked, [format!("file://{}", page.display())], "{start}");
        // It is all there, as text.
        let there =
            format!("document.body.textContent.split({}).length > 20", json!(word.split('\u{2028}').next().unwrap()));
        assert_eq!(browser.eval(&there), true, "{start}");
        let marks = "window.pwned === undefined && Object.prototype.pwned === undefined && document.querySelectorAll('iframe, base, link, object, embed, form').length === 0";
        assert_eq!(browser.eval(marks), true, "{start}");
        let policy = browser.eval("document.querySelector('meta[http-equiv]').content");
        let policy = policy.as_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
        shapes.push((start, shape));
    }
    let (_, plain) = &shapes[0];
    for (word, shape) in &shapes {
        assert_eq!(shape, plain, "{word} changes what the page is made of");
    }
    assert!(plain["sections"].as_str().unwrap().contains("failures"), "{plain}");
}

#[test]
fn in_a_browser_files_with_hostile_names_have_links_that_lead_to_them() {
    let Some(mut browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let name = "\"><img src=x onerror=pwned=1> javascript:pwned=2 #?%41&amp;\u{202e}.html";
    fs::write(folder.path().join(name), "<h1>found</h1>").unwrap();
    let result =
        fixture::result(1, "m").sent(202.5).e2e(1.0).tokens(None, 9).merge(json!({ "files": { "html": name } }));
    fs::write(folder.path().join("results.ndjson"), result.line()).unwrap();
    let page = folder.path().join("index.html");
    run("bench-report", [folder.path().as_os_str(), "-o".as_ref(), page.as_os_str()], "").exits(0);
    browser.open(&page, "");
    let (asked, said) = browser.requests_and_complaints();
    assert_eq!((asked.len(), said), (1, Vec::new()));
    browser.click(".answer .live");
    browser.wait("document.querySelector('#viewer iframe')?.contentDocument === null");
    assert_eq!(browser.eval("window.pwned === undefined"), true);
    let target = browser.eval("document.querySelector('#viewer iframe').src");
    assert!(target.as_str().unwrap().starts_with("file:///"), "{target}");
}

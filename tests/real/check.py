#!/usr/bin/env python3
"""Judges what run.sh recorded of a real server: check.py DIR flow|page|made|many...

Each check is a sentence with what was found; the last line is "N passed, N failed". Exit status 1 when one failed.
Needs only Python, and knows nothing of the programs but the records they write.
"""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

MODEL = "tiny-words"
PROMPTS = 5
TOKENS = 64
MANY = 2000
MANY_TOKENS = 4

counts = {True: 0, False: 0}


def check(holds, sentence, found=""):
    """Counts and says whether a sentence holds."""
    counts[bool(holds)] += 1
    print(f"{'ok  ' if holds else 'FAIL'} {sentence}{f' ({found})' if found != '' else ''}")


def lines(path):
    """The records of a file. A line that is no JSON ends the run: nothing that follows would mean anything."""
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def results(path):
    """The result records of a file."""
    return [record for record in lines(path) if record["type"] == "result"]


def statuses(path):
    """Every program of the pipeline ended with 0."""
    ended = path.read_text().split()
    check(set(ended[1::2]) == {"0"}, "every program ended with 0", " ".join(ended))


def counted(work, flow, name):
    """By how much a counter of the server rose while the flow ran."""

    def value(path):
        found = re.search(rf"^llamacpp:{name} (\S+)$", path.read_text(), re.MULTILINE)
        return float(found[1]) if found else float("nan")

    return value(work / f"{flow}-after.prom") - value(work / f"{flow}-before.prom")


def failed(records):
    """Those that say that they failed, in whatever field."""
    return [r for r in records if r["error"] or r["errors"]["load"] or r["errors"]["generation"]]


def span(values, unit=""):
    """The lowest and the highest, for people."""
    values = list(values)
    return f"{min(values):.4g} to {max(values):.4g}{unit}" if values else "none"


def flow(work):
    """The token-rate flow: every number against one that somebody else has."""
    statuses(work / "flow-statuses")
    models = lines(work / "models.ndjson")
    check([m["id"] for m in models] == [MODEL], "the server's one model is listed", [m["id"] for m in models])
    check([m.get("server") for m in models] == ["llama.cpp"], "the server is known as llama.cpp")
    done = results(work / "results.ndjson")
    bad = failed(done)
    check(len(done) == PROMPTS and not bad, f"{PROMPTS} results, none failed", f"{len(done)}, {len(bad)} failed")
    check(len({r["prompt"]["id"] for r in done}) == PROMPTS, "each of its own prompt")
    check(all(r["served_model"] == MODEL for r in done), "answered by the model that was asked")
    good = [r for r in done if r not in bad]
    if not good:
        check(False, "there is an answer to look at")
        return
    tokens(work, good)
    times(good)
    memory(work, good)


def tokens(work, good):
    """Counts: the record's, the answer's usage, the server's counters, and the chunks of a model of whole words."""
    check(
        all((r["tokens"]["input"], r["tokens"]["output"]) == usage(r) and r["tokens"]["method"] == "usage" for r in good),
        "tokens are those of the server's usage",
        f"{sum(r['tokens']['input'] for r in good)} in, {sum(r['tokens']['output'] for r in good)} out",
    )
    check(
        all(r["tokens"]["output"] == TOKENS and r["finish_reason"] == "length" for r in good),
        f"each answer was cut at {TOKENS} tokens, and says so",
    )
    check(all(r["chunks"]["count"] == TOKENS for r in good), "one token came as one chunk, and none was missed")
    said = counted(work, "flow", "tokens_predicted_total")
    check(said == sum(r["tokens"]["output"] for r in good), "the server counted as many tokens out", f"{said:.0f}")
    said = counted(work, "flow", "prompt_tokens_total")
    ours = sum(r["tokens"]["input"] - r["tokens"].get("cached", 0) for r in good)
    check(said == ours, "the server counted as many tokens in, cached ones aside", f"{said:.0f}")


def usage(result):
    """What the server's last event said."""
    return result["usage"]["prompt_tokens"], result["usage"]["completion_tokens"]


def times(good):
    """Times: possible in themselves, and with the server's own."""
    check(
        all(0 < r["ttft_seconds"] < r["generation_time_seconds"] for r in good),
        "the first token came after the request and before the end",
        "ttft " + span((r["ttft_seconds"] for r in good), " s")
        + ", whole " + span((r["generation_time_seconds"] for r in good), " s"),
    )
    order = ["headers", "first_event", "first_token", "last_token", "end"]
    stamps = [[r["timing_seconds"][name] for name in order] for r in good]
    check(all(row == sorted(row) for row in stamps), "the stamps are in order: " + ", ".join(order))
    # The server cannot have told of a token before it had one. A millisecond is left to the two clocks' rounding.
    check(
        all(r["ttft_seconds"] >= r["timings"]["prompt_ms"] / 1000 - 0.001 for r in good),
        "no first token came before the server had read the prompt",
        "the prompt took " + span((r["timings"]["prompt_ms"] / 1000 for r in good), " s"),
    )
    check(
        all(
            r["generation_time_seconds"] >= (r["timings"]["prompt_ms"] + r["timings"]["predicted_ms"]) / 1000 - 0.002
            for r in good
        ),
        "no answer ended before the server had written it",
    )
    ratio = [r["derived"]["decode_tokens_per_second"] / r["timings"]["predicted_per_second"] for r in good]
    check(
        all(0.5 < x < 2 for x in ratio),
        "the decode rate is the server's, within a factor of 2",
        f"{span((r['timings']['predicted_per_second'] for r in good), ' tok/s')}, ratio {span(ratio)}",
    )


def memory(work, good):
    """Memory: that of the server's process and no other's, against the kernel's own high water."""
    pid = int((work / "pid").read_text())
    for how in ["name", "preset", "port"]:
        seen = [p["pid"] for p in json.loads((work / f"by-{how}.json").read_text()).get("process_list", [])]
        # Others of the same name are rightly meant by a name; ours must be among them.
        check(pid in seen and (how != "port" or len(seen) == 1), f"mem-sample finds the server by its {how}")
    high = [r.get("memory", {}).get("high_water", {}).get("rss_bytes") or 0 for r in good]
    check(all(x > 0 for x in high), "each result has a high water of memory", span((x / 2**20 for x in high), " MiB"))
    kernel = int((work / "high-water").read_text())
    check(
        all(0.5 * kernel <= x <= 1.02 * kernel for x in high),
        "it is the server's: between half of the kernel's own high water and all of it",
        f"{kernel / 2**20:.4g} MiB",
    )
    after = [r["memory"]["after_generation"]["distance_seconds"] for r in good if r.get("memory", {}).get("after_generation")]
    check(
        len(after) == len(good) and all(abs(x) < 1 for x in after),
        "memory after each answer was read near its end",
        span(after, " s away"),
    )


class Page(HTMLParser):
    """The rows of the tables, what the page loads from elsewhere, and the pictures that its script drew."""

    VOID = set("area base br col embed hr img input link meta source track wbr".split())
    # Whose end HTML lets one leave out.
    LEFT_OUT = set("p li dt dd option optgroup thead tbody tfoot tr td th".split())

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.loads, self.drawn, self.crossed = [], [], [], 0, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "tr":
            self.rows.append("")
        self.drawn += tag == "svg"
        url = attrs.get("src") or (attrs.get("href") if tag == "link" else None) or ""
        if url and not url.startswith("data:"):
            self.loads.append(url)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()
        elif tag in self.open:
            while (inner := self.open.pop()) != tag:
                if inner not in self.LEFT_OUT:
                    self.crossed.append(inner)
        else:
            self.crossed.append(tag)

    def handle_data(self, data):
        if "tr" in self.open:
            self.rows[-1] += data


def page(work):
    """The report's page: whole, sufficient to itself, and with the model in its table, also after its script ran."""
    text = (work / "index.html").read_text()
    parsed = Page(text)
    check(text.startswith("<!doctype html>") and text.rstrip().endswith("</html>"), "the page is whole", f"{len(text)} bytes")
    check(not parsed.open and not parsed.crossed, "what it opens it closes", " ".join(parsed.open + parsed.crossed))
    check(not parsed.loads, "it loads nothing from elsewhere", " ".join(parsed.loads))
    rows = [row for row in parsed.rows if MODEL in row]
    check(len(rows) == 1, "one row of its table is the model's")
    if not (work / "dom.html").exists():
        return
    live = Page((work / "dom.html").read_text())
    check(any(MODEL in row for row in live.rows), "in the browser, a row is the model's")
    check(live.drawn > parsed.drawn, "in the browser, its script drew", f"{live.drawn} pictures")
    console = [line for line in (work / "browser.log").read_text(errors="replace").splitlines() if "CONSOLE" in line]
    check(not console, "the browser's console stayed empty", "; ".join(console[:3]))


def many(work):
    """Short streamed answers, one after another on connections that the server closes: none is lost, none sent twice."""
    statuses(work / "many-statuses")
    done = results(work / "many.ndjson")
    bad = failed(done)
    why = sorted({(r["error"] or {}).get("kind", "?") for r in bad})
    check(len(done) == MANY and not bad, f"{MANY} results, none failed", f"{len(done)}, {len(bad)} failed {' '.join(why)}")
    check({r["id"] for r in done} == set(range(1, MANY + 1)), "each request has its one result")
    whole = [r for r in done if r["tokens"]["output"] == MANY_TOKENS and r["chunks"]["count"] == MANY_TOKENS]
    check(len(whole) == MANY, f"each answer has its {MANY_TOKENS} tokens", len(whole))
    said = counted(work, "many", "tokens_predicted_total")
    check(said == MANY * MANY_TOKENS, "the server wrote each answer once", f"{said:.0f} tokens")
    check(all(possible(r) for r in done if not r["error"]), "no first token came before the request or after the end")
    fresh = sum(1 for r in done if "connect" in r["timing_seconds"])
    print(f"     {fresh} of {len(done)} went over a new connection")


def made(work):
    """Prompts of exact length, a shared prefix, and conversations."""
    statuses(work / "made-statuses")
    done = results(work / "made.ndjson")
    check(not failed(done), "no request failed", len(done))
    exact = [r for r in done if "wanted_input_tokens" in r["prompt"]]
    wrong = [r for r in exact if r["tokens"]["input"] != r["prompt"]["wanted_input_tokens"]]
    lengths = {r["tokens"]["input"] for r in exact}
    check(len(exact) == 40 and not wrong, "each synthetic prompt had as many tokens as was wanted", f"{len(wrong)} had not")
    check(len(lengths) > 10, "and they were of many lengths", span(lengths))
    check(all(r["tokens"]["output"] == 9 for r in done), "each answer had as many as was wanted")
    prefix = [r for r in done if r["tokens"].get("cached", 0) >= 33]
    check(len(prefix) >= len(done) // 2, "the shared prefix came from the cache", f"{len(prefix)} of {len(done)} times")
    turns = [(r["conversation"], r["turn"], r["tokens"]["input"]) for r in done if "turn" in r]
    talks = {talk: [t for t in turns if t[0] == talk] for talk, _, _ in turns}
    grew = [t for t in talks.values() if [n for _, n, _ in t] == [1, 2, 3] and t[0][2] + 9 < t[1][2] < t[2][2] - 9]
    check(len(talks) == 2 and len(grew) == 2, "each turn carried what was said before", turns)


def possible(result):
    """The first token came before the end; or with it, where a busy machine found the whole answer in one read."""
    first, end, chunks = result["ttft_seconds"], result["generation_time_seconds"], result["chunks"]
    return 0 < first < end or (first == end and chunks["max_per_read"] == chunks["count"])


def main():
    """Runs the checks that are asked for."""
    work = Path(sys.argv[1])
    for name in sys.argv[2:]:
        print(f"{name}:")
        {"flow": flow, "page": page, "many": many, "made": made}[name](work)
    print(f"{counts[True]} passed, {counts[False]} failed")
    sys.exit(1 if counts[False] or not counts[True] else 0)


if __name__ == "__main__":
    main()

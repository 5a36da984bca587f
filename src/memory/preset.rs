//! Servers by name: which processes hold their weights.
//!
//! The weights are seldom in the process with the server's name: LM Studio's are in workers that are called `node`,
//! Ollama's in a runner, vLLM's in a child of a Python interpreter.

use super::table::{Process, base};
use clap::ValueEnum;
use strum::Display;

/// A known server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Display)]
#[strum(serialize_all = "kebab-case")]
pub enum Preset {
    /// LM Studio, its workers, and llmster
    Lmstudio,
    /// Ollama and its runners
    Ollama,
    /// llama.cpp's server
    LlamaServer,
    /// vLLM, or whoever listens on port 8000
    Vllm,
    /// mlx-lm and mlx-vlm, or whoever listens on port 8080
    Mlx,
}

impl Preset {
    /// The port by which it is also known: that of servers that are Python programs.
    pub fn port(self) -> Option<u16> {
        match self {
            Preset::Vllm => Some(8000),
            Preset::Mlx => Some(8080),
            Preset::Lmstudio | Preset::Ollama | Preset::LlamaServer => None,
        }
    }

    /// Whether a process is one of its.
    pub fn means(self, process: &Process) -> bool {
        let exe = process.exe.as_deref().or(process.args.first().map(String::as_str)).unwrap_or_default();
        let exe = &exe.replace('\\', "/");
        let name = process.name();
        match self {
            // `lms` lies in the same folder, asks the server and leaves.
            Preset::Lmstudio => {
                !["lms", "lms.exe"].contains(&name)
                    && (["/.lmstudio/", "/.cache/lm-studio/", "/LM Studio.app/", "/.mount_LM-Stu"]
                        .iter()
                        .any(|part| exe.contains(part))
                        || ["lm-studio", "llmster", "LM Studio.exe"].contains(&name)
                        // The Linux AppImage's workers run its own copy of node.
                        || process.args.iter().skip(1).take(2).any(|arg| arg.ends_with("/llmworker.js")))
            }
            Preset::Ollama => {
                let serves = process.args.get(1).is_none_or(|verb| ["serve", "runner"].contains(&verb.as_str()));
                exe.contains("/Ollama.app/")
                    || exe.contains("/lib/ollama/")
                    || ["ollama_llama_server", "ollama_llama_se", "ollama app.exe", "Ollama"].contains(&name)
                    || (["ollama", "ollama.exe"].contains(&name) && serves)
            }
            Preset::LlamaServer => ["llama-server", "llama-server.exe"].contains(&name),
            Preset::Vllm => {
                name == "vllm"
                    || process.args.first().is_some_and(|title| title.starts_with("VLLM::"))
                    || runs(process, "vllm")
            }
            Preset::Mlx => ["mlx_lm", "mlx_vlm", "mlx-lm", "mlx-vlm"].iter().any(|module| runs(process, module)),
        }
    }
}

/// Whether a Python process runs `module`: as a script of that name, or by `-m`.
fn runs(process: &Process, module: &str) -> bool {
    if !process.name().starts_with("python") && !process.name().starts_with("Python") {
        return false;
    }
    let is = |what: &str| what == module || what.strip_prefix(module).is_some_and(|rest| rest.starts_with('.'));
    let mut args = process.args.iter().skip(1);
    while let Some(arg) = args.next() {
        if arg == "-m" {
            return args.next().is_some_and(|name| is(name));
        }
        if !arg.starts_with('-') {
            return is(base(arg));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(exe: &str, args: &[&str]) -> Process {
        let args = std::iter::once(exe).chain(args.iter().copied()).map(str::to_owned).collect();
        Process { exe: Some(exe.into()), args, ..Process::default() }
    }

    #[test]
    fn each_server_is_known_by_its_executables_and_nobody_else_is() {
        use Preset::*;
        for (exe, args, expect) in [
            ("/Applications/LM Studio.app/Contents/MacOS/LM Studio", &[][..], Some(Lmstudio)),
            (
                "/Applications/LM Studio.app/Contents/Frameworks/LM Studio Helper.app/x/LM Studio Helper",
                &[],
                Some(Lmstudio),
            ),
            ("/tmp/.mount_LM-StuAbC/lm-studio", &[], Some(Lmstudio)),
            ("/home/u/.lmstudio/.internal/utils/node", &["/x/llmworker.js"], Some(Lmstudio)),
            ("/home/u/.cache/lm-studio/.internal/utils/node", &[], Some(Lmstudio)),
            ("/home/u/.lmstudio/llmster/0.4.1/llmster", &[], Some(Lmstudio)),
            ("C:\\Users\\u\\.lmstudio\\.internal\\utils\\node.exe", &[], Some(Lmstudio)),
            ("/home/u/.lmstudio/bin/lms", &["load", "x"], None),
            ("/usr/bin/node", &["server.js"], None),
            ("/usr/bin/python3", &["bench_lmstudio_models.py"], None),
            ("/usr/bin/vlc", &["/films/lmstudio.mkv"], None),
            ("/usr/local/bin/ollama", &["serve"], Some(Ollama)),
            ("/usr/local/bin/ollama", &["runner", "--model", "x", "--port", "1"], Some(Ollama)),
            ("/usr/local/bin/ollama", &["run", "x"], None),
            ("/usr/local/lib/ollama/llama-server", &[], Some(Ollama)),
            ("/opt/llama-server", &["-m", "x.gguf"], Some(LlamaServer)),
            ("/usr/bin/python3.12", &["/venv/bin/vllm", "serve", "x"], Some(Vllm)),
            ("/usr/bin/python3", &["-m", "vllm.entrypoints.openai.api_server"], Some(Vllm)),
            ("/usr/bin/python3", &["-u", "-m", "mlx_lm.server"], Some(Mlx)),
            ("/usr/bin/python3", &["train.py", "-m", "vllm"], None),
            ("/usr/bin/python3", &["-m", "vllmx"], None),
        ] {
            for preset in Preset::value_variants() {
                let expect =
                    expect == Some(*preset) || (exe.contains("lib/ollama/llama-server") && *preset == LlamaServer);
                assert_eq!(preset.means(&process(exe, args)), expect, "{preset:?} {exe} {args:?}");
            }
        }
    }

    #[test]
    fn a_worker_that_renamed_itself_is_known() {
        let worker = Process {
            args: vec!["VLLM::EngineCore".into()],
            exe: Some("/usr/bin/python3".into()),
            ..Process::default()
        };
        assert!(Preset::Vllm.means(&worker));
    }
}

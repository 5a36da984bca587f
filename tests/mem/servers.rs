//! Servers in copies of `/proc` and `/sys`: where their weights are, and on which card.

use super::{fake_process, fake_table, once};
use crate::common::golden::{case, golden};
use crate::common::run;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

fn write(root: &Path, name: &str, text: &str) {
    let file = root.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

fn args(root: &Path, pid: u32, args: &[&str]) {
    write(root, &format!("{pid}/cmdline"), &format!("{}\0", args.join("\0")));
}

#[test]
fn the_weights_are_found_in_whatever_process_the_server_keeps_them() {
    let table = fake_table();
    let root = table.path();
    // LM Studio: a worker called node, of the application's own, and one whose parent has gone.
    fake_process(root, 53, 1, 14, "/tmp/.mount_LM-StuX/lm-studio", 10);
    fake_process(root, 54, 53, 15, "/home/u/.lmstudio/.internal/utils/node", 4000);
    fake_process(root, 55, 1, 16, "/opt/node", 2000);
    args(root, 55, &["/opt/node", "/tmp/.mount_LM-StuX/resources/llmworker.js"]);
    // Ollama: the server, a runner of its own kind, and a llama-server in its folder or anywhere below it.
    fake_process(root, 70, 1, 20, "/usr/local/bin/ollama", 50);
    args(root, 70, &["/usr/local/bin/ollama", "serve"]);
    fake_process(root, 71, 70, 21, "/usr/local/bin/ollama", 3000);
    args(root, 71, &["/usr/local/bin/ollama", "runner", "--model", "x"]);
    fake_process(root, 72, 70, 22, "/tmp/x/llama-server", 700);
    fake_process(root, 73, 1, 23, "/usr/local/bin/ollama", 9);
    args(root, 73, &["/usr/local/bin/ollama", "run", "x"]);
    // llama.cpp, vLLM with a worker that renamed itself, and MLX.
    fake_process(root, 80, 1, 30, "/opt/llama.cpp/llama-server", 600);
    fake_process(root, 90, 1, 40, "/usr/bin/python3.12", 100);
    args(root, 90, &["/usr/bin/python3.12", "/venv/bin/vllm", "serve", "m"]);
    fake_process(root, 91, 90, 41, "/usr/bin/python3.12", 900);
    args(root, 91, &["VLLM::EngineCore"]);
    fake_process(root, 95, 1, 45, "/usr/bin/python3.12", 500);
    args(root, 95, &["/usr/bin/python3.12", "-m", "mlx_lm.server"]);
    fake_process(root, 96, 1, 46, "/usr/bin/python3.12", 5);
    args(root, 96, &["/usr/bin/python3.12", "lmstudio_ollama_vllm_mlx.py"]);
    let proc = root.to_str().unwrap();
    for (preset, processes, kib) in [
        ("lmstudio", 5, 100 + 800 + 10 + 4000 + 2000),
        ("ollama", 3, 50 + 3000 + 700),
        ("llama-server", 2, 700 + 600),
        ("vllm", 2, 1000),
        ("mlx", 1, 500),
    ] {
        let memory = once(&["--preset", preset, "--proc-root", proc, "--per-process"]);
        assert_eq!((&memory["processes"], &memory["rss_bytes"]), (&processes.into(), &(kib * 1024).into()), "{memory}");
    }
    let named = once(&["--exe", "/.lmstudio/", "--proc-root", proc]);
    assert_eq!(named["processes"], 4, "llmster, its child, a worker and lms");
}

#[test]
fn cards_without_a_library_are_read_from_the_kernel() {
    let (table, sys) = (fake_table(), tempfile::tempdir().unwrap());
    write(sys.path(), "class/drm/card1/device/uevent", "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0\n");
    write(sys.path(), "class/drm/card1/device/mem_info_vram_used", "8589934592\n");
    write(sys.path(), "class/drm/card2/device/uevent", "DRIVER=xe\nPCI_SLOT_NAME=0000:04:00.0\n");
    let client = |card: &str, id: u32, name: &str, kib: u32| {
        format!("pos:\t0\ndrm-pdev:\t0000:{card}:00.0\ndrm-client-id:\t{id}\n{name}:\t{kib} KiB\n")
    };
    write(table.path(), "51/fdinfo/3", &client("03", 1, "drm-memory-vram", 4 << 20));
    write(table.path(), "51/fdinfo/4", &client("03", 1, "drm-memory-vram", 4 << 20));
    write(table.path(), "51/fdinfo/5", &client("04", 2, "drm-resident-vram0", 1 << 10));
    write(table.path(), "60/fdinfo/3", &client("03", 9, "drm-memory-vram", 99));
    let roots = ["--proc-root", table.path().to_str().unwrap(), "--sysfs-root", sys.path().to_str().unwrap()];
    let of = |args: &[&str]| once(&roots.iter().chain(args).copied().collect::<Vec<_>>())["gpu"].clone();
    assert_eq!(
        of(&["--preset", "lmstudio"]),
        json!({
            "gpu0": { "used_bytes": 8_u64 << 30, "process_bytes": 4_u64 << 30 },
            // Intel's tell what each process holds, and not the sum.
            "gpu1": { "process_bytes": 1 << 20 },
        })
    );
    assert_eq!(of(&["--name", "^nobody$"])["gpu0"], json!({ "used_bytes": 8_u64 << 30 }));
}

#[test]
fn whoever_listens_is_found_with_those_beside_it() {
    let table = fake_table();
    let root = table.path();
    // The listener is a child of the same program whose other child holds the weights.
    fake_process(root, 90, 1, 40, "/usr/bin/python3.12", 100);
    fake_process(root, 91, 90, 41, "/usr/bin/python3.12", 10);
    fake_process(root, 92, 90, 42, "/usr/bin/python3.12", 9000);
    fs::create_dir_all(root.join("91/fd")).unwrap();
    symlink("socket:[4242]", root.join("91/fd/7")).unwrap();
    write(
        root,
        "net/tcp6",
        "  sl  local_address\n   0: 00000000000000000000000000000000:1F40 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0\n",
    );
    let proc = root.to_str().unwrap();
    for args in [&["--port", "8000"][..], &["--preset", "vllm"]] {
        let memory = once(&[args, &["--proc-root", proc]].concat());
        assert_eq!((&memory["processes"], &memory["rss_bytes"]), (&3.into(), &(9110 * 1024).into()), "{args:?}");
    }
}

#[test]
fn nobody_found_is_null_and_no_error() {
    let table = fake_table();
    let mut told = String::new();
    for args in
        [&["--pid", "4000000"][..], &["--port", "1"], &["--name", "^x$"], &["--exe", "/x/"], &["--preset", "mlx"]]
    {
        let all = ["-i", "100ms", "--count", "1", "--proc-root", table.path().to_str().unwrap()];
        let ran = run("mem-sample", all.iter().chain(args), "").exits(0);
        let memory = &ran.of_type("memory")[0];
        assert_eq!((&memory["processes"], &memory["rss_bytes"]), (&0.into(), &serde_json::Value::Null), "{args:?}");
        assert!(memory["system"]["total_bytes"].is_u64());
        told += &case(args, &ran.stderr);
    }
    golden!("no-process-found", told);
}

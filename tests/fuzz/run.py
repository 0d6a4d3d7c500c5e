#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the fuzz targets with clang's sanitizers and lets each run for a while: run.py BUILD_DIR [SECONDS].

The corpus stays in BUILD_DIR/fuzz, so every run goes on where the last one ended; a crash is saved there too."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGETS = ["fuzz_wire", "fuzz_import"]
IMPORTER = ["external", "npy", "onnx", "onnx_bind", "sha256", "tensor_proto", "upgrade", "wire"]
SANITIZE = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
FLAGS = ["-std=c17", "-D_GNU_SOURCE", *SANITIZE, f"-I{ROOT}"]


def compile_object(source, out, flags):
    obj = out / (str(source.relative_to(ROOT) if source.is_relative_to(ROOT) else source.name).replace("/", "-") + ".o")
    subprocess.run(["clang", *flags, "-fsanitize=fuzzer-no-link", "-c", source, "-o", obj], check=True)
    return obj


def build(out):
    subprocess.run(["protoc-c", f"--proto_path={ROOT / 'compiler'}", f"--c_out={out}", "onnx.proto"], check=True)
    sources = [*ROOT.glob("ir/*.c"), *ROOT.glob("ir/op/*.c"), *(ROOT / "compiler" / f"{name}.c" for name in IMPORTER)]
    flags = [*FLAGS, f"-isystem{out}"]
    objects = [compile_object(s, out, flags) for s in sorted(sources)]
    objects.append(compile_object(out / "onnx.pb-c.c", out, [*flags, "-w"]))
    for name in TARGETS:
        subprocess.run(["clang", *FLAGS, "-fsanitize=fuzzer", ROOT / "tests" / "fuzz" / f"{name}.c", *objects, "-lprotobuf-c", "-lm",
                        "-o", out / name], check=True)


def run(out, name, seconds):
    corpus = out / f"corpus_{name}"
    if name == "fuzz_import" and not corpus.exists():
        subprocess.run([sys.executable, ROOT / "tests" / "fuzz" / "corpus.py", corpus], check=True)
    corpus.mkdir(exist_ok=True)
    command = [out / name, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=3000", "-max_len=6000",
               f"-artifact_prefix={out}/", corpus]
    p = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if p.returncode:
        print(f"FAIL {name}\n{p.stderr[-4000:]}")
    return p.returncode == 0


def main():
    out = pathlib.Path(sys.argv[1]).resolve() / "fuzz"
    out.mkdir(parents=True, exist_ok=True)
    build(out)
    good = [run(out, name, int(sys.argv[2]) if len(sys.argv) > 2 else 60) for name in TARGETS]
    print(f"{sum(good)} passed, {len(good) - sum(good)} failed")
    sys.exit(not all(good))


main()

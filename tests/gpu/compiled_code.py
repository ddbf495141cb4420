"""What the CUDA compiler made of the kernels of gpu/cuda: registers, spills, shared memory, and reads of 16 bytes in the machine code.

    compiled_code.py NVCC ROOT [ARCHITECTURE...]      sm_90 if none is named

Needs no device and no disassembler: the code of an operation is compiled to a cubin, which is an ELF file with a section for each kernel,
of instructions of 16 bytes. Fails when a kernel spills, keeps anything in local memory, or lacks the wide reads that it was written for.
"""
import concurrent.futures
import os
import re
import struct
import subprocess
import sys
import tempfile

OPERATIONS = ["column", "entropy", "evolution", "gravity", "heat", "horizon", "score", "train", "walk"]
WIDE_READS = ["gravity best_of_rows 8 4-wide", "gravity best_of_rows 16 4-wide", "gravity best_of_rows 32 4-wide", "entropy sums_of_tiles",
              "evolution evolve_all", "column sums_of_tiles", "column compact_tiles", "walk wide_rows", "walk wide_hubs"]


def kernel_name(mangled, operation):
    """A short name of a mangled one: operation, function, template arguments."""
    last = ""
    at = mangled.find("_ZN")
    text = mangled[at + 3:] if at >= 0 else mangled
    while True:
        number = re.match(r"\d+", text)
        if not number:
            break
        length = int(number.group())
        last, text = text[number.end():][:length], text[number.end() + length:]
    found = re.match(r"I(.*?)EEvT?_?", text)
    arguments = found.group(1) if found else ""
    of = re.search(r"(\d+)(heat_kernels|walk_kernels)E?(\d+)(\w+)", arguments)
    words = [operation, last]
    if of:
        words.append(of.group(4)[:int(of.group(3))])
    words += re.findall(r"Lj(\d+)E", mangled)
    words += ["4-wide" if bit == "1" else "1-wide" for bit in re.findall(r"Lb([01])E", mangled)]
    return " ".join(words)


def sections(data):
    """Name and contents of each section of a 64-bit ELF file."""
    at, = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<HHH", data, 0x3a)
    heads = [struct.unpack_from("<IIQQQQIIQQ", data, at + i * size) for i in range(count)]
    text = heads[names][4]
    for head in heads:
        begin = text + head[0]
        yield data[begin:data.index(b"\0", begin)].decode(), data[head[4]:head[4] + head[5]]


def reads_of(code):
    """(reads of 16 bytes from global memory, all reads from there, uses of local memory) in machine code of Turing and later."""
    wide = all_of_them = local = 0
    for low, high in struct.iter_unpack("<QQ", code[:len(code) // 16 * 16]):
        opcode = low & 0xfff
        if opcode in (0x381, 0x981): # LDG
            all_of_them += 1
            wide += (high >> 9 & 7) == 6
        local += opcode in (0x383, 0x983, 0x387, 0x987) # LDL, STL
    return wide, all_of_them, local


def compiled(nvcc, root, architecture, operation, folder):
    cubin = os.path.join(folder, f"{operation}.{architecture}.cubin")
    done = subprocess.run([nvcc, "-cubin", f"-arch={architecture}", "-std=c++20", "--expt-relaxed-constexpr", "-O2", "-Xptxas", "-v", "-I",
                           root, "-o", cubin, os.path.join(root, "gpu", "cuda", operation + ".cu")], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    figures = {}
    for entry in re.split(r"Compiling entry function", done.stderr)[1:]:
        name = re.search(r"'(\w+)'", entry).group(1)
        stack, stores, loads = map(int, re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", entry).groups())
        registers = int(re.search(r"Used (\d+) registers", entry).group(1))
        shared = re.search(r"(\d+) bytes smem", entry)
        figures[name] = [registers, stack, stores + loads, int(shared.group(1)) if shared else 0]
    with open(cubin, "rb") as file:
        data = file.read()
    for name, code in sections(data):
        if name.startswith(".text."):
            figures[name[6:]] += reads_of(code)
    return {kernel_name(name, operation): f for name, f in figures.items()}


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    if len(arguments) < 2:
        sys.exit(__doc__)
    nvcc, root, architectures = arguments[0], arguments[1], arguments[2:] or ["sm_90"]
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            work = [(a, o) for a in architectures for o in OPERATIONS]
            results = list(pool.map(lambda w: compiled(nvcc, root, w[0], w[1], folder), work))
    table = {}
    for (architecture, _), kernels in zip(work, results):
        for name, (registers, stack, spilled, shared, wide, reads, local) in kernels.items():
            table.setdefault(name, {})[architecture] = (registers, shared, wide, reads)
            if stack or spilled or local:
                failed.append(f"{name} for {architecture}: {spilled} bytes spilled, {stack} bytes of stack, {local} uses of local memory")
            if name in WIDE_READS and wide == 0:
                failed.append(f"{name} for {architecture}: none of its {reads} reads is of 16 bytes")
    for name in WIDE_READS:
        if name not in table:
            failed.append(f"{name}: there is no such kernel")
    print("| kernel | " + " | ".join(architectures) + " |\n|---|" + "---|" * len(architectures))
    for name, by in sorted(table.items()):
        cells = ["{} registers, {} B shared, {} of {} reads of 16 B".format(*by[a]) for a in architectures]
        print(f"| {name} | " + " | ".join(cells) + " |")
    for line in failed:
        print("FAILED:", line)
    sys.exit(1 if failed else 0)


main()

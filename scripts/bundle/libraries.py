#!/usr/bin/env python3
"""Puts the shared libraries that the programs in FOLDER/libexec need into FOLDER/lib, and their licences beside them.

    scripts/bundle/libraries.py FOLDER

Left out are glibc's, the compiler's (libstdc++, libgcc_s: LibTorch needs the machine's as well) and LibTorch's with
its OpenMP and CUDA, of which a process must have one. Ends with an error when anything needs a newer glibc or libstdc++
than the oldest system has that FOLDER is meant for.
"""

import re
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

# Ubuntu 22.04 has glibc 2.35, Debian 12 has 2.36, RHEL 9 has 2.34 and the libstdc++ of GCC 11.
NEWEST = {"GLIBC": (2, 34), "GLIBCXX": (3, 4, 29), "CXXABI": (1, 3, 13)}
SYSTEM = re.compile(
    r"(ld-linux-x86-64|libc|libm|libdl|libpthread|librt|libutil|libresolv|libstdc\+\+|libgcc_s)\.so\.\d+")
TORCH = re.compile(r"(libtorch\w*|libc10\w*|libgomp|libcudart|libcupti|libnvrtc|libcublas\w*)\.so(\.\d+)?")
# What OpenCV's imgcodecs has for formats that never reach it, because lib/image reads PNG, JPEG, WebP and BMP alone:
# GDAL's rasters, DICOM, TIFF, JPEG 2000, OpenEXR. They would bring a hundred further libraries, some under the GPL,
# some that need a newer glibc.
NEVER_CALLED = re.compile(r"(libgdal|libgdcm\w+|libtiff|libopenjp2|libOpenEXR-[\d_]+)\.so\.[\d.]+")
# What is compiled into the programs from headers or static libraries.
COMPILED_IN = ("libcli11-dev", "nlohmann-json3-dev", "libgtest-dev")


class BundleError(Exception):
    pass


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def needed_by(file):
    return re.findall(r"\(NEEDED\).*\[(.+)\]", output_of("readelf", "-dW", file))


def symbols(file, which):
    """{name or name@version: nm's letter} of the dynamic symbols that are "defined" or "undefined"."""
    found = {}
    for line in output_of("nm", "-D", f"--{which}-only", file).splitlines():
        letter, name = line.split()[-2:]
        found[name.replace("@@", "@")] = letter
    return found


def library_paths():
    """{soname: path} of the libraries that the dynamic loader finds on this machine."""
    paths = {}
    listed = output_of("/sbin/ldconfig", "-p")
    for name, path in re.findall(r"^\s+(\S+) \(libc6,x86-64\) => (\S+)$", listed, re.MULTILINE):
        paths.setdefault(name, Path(path))
    return paths


def make_library(target, names, versions=()):
    """A library without content: functions `names` (NAME or NAME@VERSION) that return 0, and `versions` without any."""
    groups = {version: [] for version in versions}
    lines = []
    for name in sorted(names):
        symbol, _, version = name.partition("@")
        groups.setdefault(version, []).append(symbol)
        lines += [f".globl {symbol}", f".type {symbol},@function", f"{symbol}:"]
    text = "\n".join([".text", *lines, "xorl %eax, %eax", "ret", '.section .note.GNU-stack,"",@progbits', ""])
    # Without a version's name its symbols have none.
    script = "".join(f"{version} {{ {'global: ' + '; '.join(group) + ';' if group else ''} }};\n"
                     for version, group in sorted(groups.items()) if version)
    with tempfile.TemporaryDirectory() as folder:
        source, version_script = Path(folder, "library.s"), Path(folder, "versions")
        source.write_text(text)
        version_script.write_text(script)
        options = [f"-Wl,--version-script={version_script}"] if script else []
        subprocess.run(["gcc", "-shared", "-nostdlib", f"-Wl,-soname,{target.name}", *options, "-o", target, source],
                       check=True)


def stand_in(real, target, consumers):
    """A library in the place of `real` with the functions of it that the consumers name, each of which returns 0."""
    wanted = set().union(*(symbols(file, "undefined") for file in consumers))
    provided = symbols(real, "defined")
    names = {name for name in wanted if name in provided}
    if others := sorted(name for name in names if provided[name] not in "TW"):
        raise BundleError(f"{real.name}: {others[0]} is no function, which alone a stand-in can have")
    make_library(target, names)


def use_older_wait(file):
    """Lets a library take std::condition_variable::wait in its version of GCC 4.4, which every libstdc++ has.

    GCC 12's differs only in that it is declared noexcept, and is all that needs a newer libstdc++ than RHEL 9's.
    Rewritten is one entry of the list of needed versions: GLIBCXX_3.4.30 gets the hash and name of GLIBCXX_3.4.11.
    """
    newer = {name for name in symbols(file, "undefined") if name.endswith("@GLIBCXX_3.4.30")}
    if newer != {"_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE@GLIBCXX_3.4.30"}:
        return
    data = bytearray(file.read_bytes())
    table, = struct.unpack_from("<Q", data, 40)
    size, count, _ = struct.unpack_from("<HHH", data, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, table + size * i) for i in range(count)]
    needs = next(section for section in sections if section[1] == 0x6FFFFFFE)  # SHT_GNU_verneed
    strings = sections[needs[6]][4]
    places = {}
    entry = needs[4]
    while True:
        _, auxiliaries, _, first, following = struct.unpack_from("<HHIII", data, entry)
        auxiliary = entry + first
        for _ in range(auxiliaries):
            name, step = struct.unpack_from("<II", data, auxiliary + 8)
            begin = strings + name
            places[data[begin:data.index(0, begin)].decode()] = auxiliary
            auxiliary += step
        if following == 0:
            break
        entry += following
    new, old = places["GLIBCXX_3.4.30"], places.get("GLIBCXX_3.4.11")
    if old is None:
        raise BundleError(f"{file.name} needs GLIBCXX_3.4.30, and nothing of GLIBCXX_3.4.11")
    data[new:new + 4] = data[old:old + 4]
    data[new + 8:new + 12] = data[old + 8:old + 12]
    file.write_bytes(data)


def too_new(file):
    """The versions that a file needs and the oldest system lacks."""
    for prefix, version in set(re.findall(r"Name: ([A-Z]+)_([\d.]+)  Flags:", output_of("readelf", "-VW", file))):
        if prefix in NEWEST and tuple(map(int, version.split("."))) > NEWEST[prefix]:
            yield f"{prefix}_{version}"


def package_of(path):
    """Debian's package of a file, whose /usr/lib may be recorded as /lib."""
    for name in (path, path.resolve(), str(path.resolve()).removeprefix("/usr")):
        found = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True)
        if found.returncode == 0:
            return found.stdout.split(":")[0]
    raise BundleError(f"{path} is of no package, so that its licence is unknown")


def copy_licences(paths, folder):
    folder.mkdir()
    for package in sorted({*COMPILED_IN, *map(package_of, paths)}):
        shutil.copy(Path("/usr/share/doc", package, "copyright"), folder / f"{package}.txt")


def collect(folder):
    paths = library_paths()
    library_folder = folder / "lib"
    library_folder.mkdir()
    programs = sorted(file for file in (folder / "libexec").iterdir() if file.read_bytes()[:4] == b"\x7fELF")
    copied, consumers = {}, {}
    waiting = list(programs)
    while waiting:
        file = waiting.pop()
        for name in needed_by(file):
            if SYSTEM.fullmatch(name) or TORCH.fullmatch(name):
                continue
            if NEVER_CALLED.fullmatch(name):
                consumers.setdefault(name, []).append(file)
            elif name not in copied:
                if name not in paths:
                    raise BundleError(f"{file.name} needs {name}, which this machine has not")
                target = library_folder / name
                shutil.copy(paths[name].resolve(), target)
                subprocess.run(["strip", "--strip-unneeded", target], check=True)
                copied[name] = paths[name]
                waiting.append(target)
    for name, files in consumers.items():
        stand_in(paths[name], library_folder / name, files)
    for name in copied:
        use_older_wait(library_folder / name)
    # For a LibTorch whose OpenMP runtime has another name (scripts/bundle/launcher).
    (library_folder / "openmp").mkdir()
    openmp = {name.partition("@")[2] for file in programs for name in symbols(file, "undefined")
              if re.search("@G?OMP_", name)}
    make_library(library_folder / "openmp" / "libgomp.so.1", [], openmp)
    copy_licences(copied.values(), folder / "licences")
    problems = [f"{file.name} needs {version}" for file in [*programs, *(library_folder / name for name in copied)]
                for version in too_new(file)]
    if problems:
        raise BundleError("newer than what the folder is meant for: " + ", ".join(sorted(problems)))
    print(f"{len(programs)} programs, {len(copied)} libraries, {len(consumers)} stand-ins")


def main():
    try:
        collect(Path(sys.argv[1]))
    except BundleError as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main()

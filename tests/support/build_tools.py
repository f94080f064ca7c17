"""Tools that a build of MicroPython calls, as small scripts: steered by files, and telling what they were asked."""

from __future__ import annotations

import shutil
from pathlib import Path

RECIPE = """
version = "1.26.1"
builds = {pi-arm = ["pi-arm", "pi"], pico = ["pico", "pico-sim"]}
files = {"lib/part/README.md" = "made", "py/mpconfig.h" = "not replaced"}
results = {"program" = "ports/out"}

[[needs]]
command = "make"
package = "make"

[[needs]]
command = "cross-gcc"
library = "libc.a"
package = "libc6-dev-cross"

[[needs]]
command = "fake-qemu"
package = "fake-qemu-user"
only_to_run = true

[[sources]]
package = "micropython"
suite = "sid"
version = "1.26.1"

[[sources]]
package = "part-source"
binary = true
suite = "trixie"
version = "2.1"
folder = "usr/src/part"
into = "lib/part"

[[steps]]
name = "compiling the compiler"
command = ["make", "first", "-j{jobs}"]

[[steps]]
name = "compiling MicroPython"
command = ["make", "second", "BOARD={board}", "TREE={tree}"]
"""
HEADER = "#define MICROPY_VERSION_MAJOR 1\n#define MICROPY_VERSION_MINOR 26\n#define MICROPY_VERSION_MICRO 1\n"
TARGETS = """\
http://mirror.invalid/debian-security/|Debian|Debian-Security|main|$(SIGNED_BY)
http://mirror.invalid/debian/|Debian|Debian|contrib|$(SIGNED_BY)
http://mirror.invalid/debian/|Debian|Debian|main|$(SIGNED_BY)
"""
URIS = "'http://archive.invalid/ubuntu/dists/noble/InRelease' archive.invalid_ubuntu_dists_noble_InRelease 0 \n"
MADISON = """\
micropython | 1.27.0+ds-2 | http://mirror.invalid/debian sid/main Sources
micropython | 1.26.1+ds-1 | http://mirror.invalid/debian sid/main Sources
micropython | 1.26.1+ds-1 | http://mirror.invalid/debian sid/main amd64 Packages
part-source | 1:2.1.1-1 | http://mirror.invalid/debian trixie/main amd64 Packages
part-source | 1:2.2.0-1 | http://mirror.invalid/debian sid/main amd64 Packages
"""
SCRIPTS = {
    "apt-get": """
case "$*" in
*indextargets*) cat "$F/targets" ;;
*--print-uris*) cat "$F/uris" ;;
*" update"*)
  [ ! -e "$F/offline" ] || { echo "E: Failed to fetch the index  Could not connect"; exit 100; }
  while [ $# -gt 0 ]; do [ "$1" != -c ] || cp "$2" "$F/apt.conf"; shift; done
  sed -n 's/^Dir::Etc::sourcelist "\\(.*\\)";/\\1/p' "$F/apt.conf" | while read -r list; do cp "$list" "$F/list"; done
  touch "$F/updated" ;;
*" source "*) v=${*##*=}; touch "micropython_$v.dsc" ;;
*" download "*) touch "part-source_1%3a2.1.1-1_all.deb" ;;
"install "*)
  [ -e "$F/updated" ] || { echo "E: Unable to locate package"; exit 100; }
  echo "$*" >"$F/installed"; cp "$F/gcc.there" "$F/bin/cross-gcc" ;;
esac
""",
    "apt-cache": 'cat "$F/madison"',
    "dpkg": "echo amd64",
    "dpkg-source": 'for t; do :; done; mkdir -p "$t/py" "$t/lib/part"; cp "$F/header" "$t/py/mpconfig.h"',
    "dpkg-deb": 'mkdir -p "$3/usr/src/part"; echo part >"$3/usr/src/part/part.c"',
    "xz": "",
    "cross-gcc": "echo /usr/lib/libc.a",
    "make": """
[ ! -e "$F/slow" ] || { sleep 60 & echo $! >"$F/compiler"; wait; }
[ "$1" != second ] || [ -e "$F/nothing" ] || { mkdir -p ports; cat "$F/program" >ports/out; }
if [ "$1" = second ] && [ -e "$F/broken" ]; then
  echo "CC main.c"; echo "main.c:7:1: error: unknown type name 'tea'"; echo "make: *** [main.o] Error 1"; exit 2
fi
""",
}


class Tools:
    """The scripts, what they are told, and what they were asked."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, folder / "bin"
        self.bin.mkdir(parents=True)
        for name in ("sh", "cat", "mkdir", "cp", "touch", "sed", "sleep", "tar", "gzip"):
            (self.bin / name).symlink_to(str(shutil.which(name)))
        for name, text in SCRIPTS.items():
            self.add(name, text)
        (folder / "gcc.there").write_bytes((self.bin / "cross-gcc").read_bytes())
        (folder / "gcc.there").chmod(0o755)
        for name, text in (
            ("targets", TARGETS),
            ("uris", URIS),
            ("madison", MADISON),
            ("header", HEADER),
            ("program", "code"),
        ):
            self.tell(name, text)
        (folder / "recipes").mkdir()
        (folder / "recipes" / "fake.toml").write_text(RECIPE)

    def add(self, name: str, text: str) -> None:
        (self.bin / name).write_text(f'#!/bin/sh\nF={self.folder}\necho "{name} $*" >>"$F/calls"\n{text}\n')
        (self.bin / name).chmod(0o755)

    def tell(self, name: str, text: str = "") -> None:
        (self.folder / name).write_text(text)

    def unsay(self, name: str) -> None:
        (self.folder / name).unlink()

    def asked(self) -> list[str]:
        """What was called since this was last asked."""
        path = self.folder / "calls"
        calls = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return calls

"""Sources out of Debian's archive, by way of this machine's apt, whose configuration is read and never changed.

The archive's address, its keys and proxies are those of the machine's own apt; lists and downloads go into a folder
of ours, so that no root is needed. apt checks every file by the archive's signature.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bodydouble.boards.building.errors import ArchiveError
from bodydouble.boards.building.recipe import Need, Source
from bodydouble.boards.building.runner import Runner

NEEDS = (
    Need(command="dpkg-source", package="dpkg-dev"),
    Need(command="xz", package="xz-utils"),
)
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TARGETS = "$(REPO_URI)|$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(SIGNED_BY)"
_RELEASES = re.compile(r"^'(\S+)/dists/[^/\s]+/InRelease' ", re.MULTILINE)
_SOURCE_CURE = "give MicroPython's sources: --source FOLDER_OR_TARBALL"
# What follows an update or an installation on this machine is not for our lists.
_CONFIGURATION = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Architectures;
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}/cache";
"""


@dataclass(frozen=True)
class Site:
    """Where the machine's apt gets Debian from, and the keyring that it trusts for it ("": the machine's)."""

    uri: str
    keyring: str


class Archive:
    """Debian's archive. `folder` is where lists and downloads are kept."""

    def __init__(self, runner: Runner, folder: Path) -> None:
        self._runner = runner
        self._folder = folder
        self._downloads = folder / "files"
        self._configuration = folder / "apt.conf"
        for part in ("lists/partial", "cache/archives/partial", "files"):
            (folder / part).mkdir(parents=True, exist_ok=True)

    def update(self, sources: Iterable[Source]) -> None:
        """Read the archive's index as far as `sources` need it."""
        site = self._site()
        signed = f" [signed-by={site.keyring}]" if site.keyring else ""
        lines = {
            f"{'deb' if source.binary else 'deb-src'}{signed} {site.uri} {source.suite} main" for source in sources
        }
        (self._folder / "sources.list").write_text("\n".join(sorted(lines)) + "\n", "utf-8")
        architecture = self._runner.ask(["dpkg", "--print-architecture"], self._folder).strip() or "amd64"
        self._configuration.write_text(_CONFIGURATION.format(folder=self._folder, architecture=architecture), "utf-8")
        self._runner.run([*self._apt("apt-get"), "-q", "update", "-o", "APT::Update::Error-Mode=any"], self._folder)

    def download(self, source: Source) -> str:
        """Fetch a package; what is there already is not fetched again. Returns its version in Debian."""
        version = self._version(source)
        what = ["download"] if source.binary else ["source", "--download-only"]
        self._runner.run([*self._apt("apt-get"), "-q", *what, f"{source.package}={version}"], self._downloads)
        return version

    def unpack(self, source: Source, version: str, target: Path) -> None:
        """Unpack a downloaded package into the new folder `target`."""
        bare = version.rsplit(":", maxsplit=1)[-1]
        work = self._folder / "unpacked"
        shutil.rmtree(work, ignore_errors=True)
        if source.binary:
            (file,) = self._downloads.glob(f"{source.package}_{version.replace(':', '%3a')}_*.deb")
            self._runner.run(["dpkg-deb", "-x", str(file), str(work)], self._folder)
            work = work / source.folder
        else:
            description = self._downloads / f"{source.package}_{bare}.dsc"
            options = ["--no-check", "--no-copy", *([] if source.patches else ["--skip-patches"])]
            self._runner.run(["dpkg-source", *options, "-x", str(description), str(work)], self._folder)
        if not work.is_dir():
            raise ArchiveError(f"{source.package} {version} lacks {source.folder}", hint=_SOURCE_CURE)
        target.parent.mkdir(parents=True, exist_ok=True)
        work.rename(target)

    def _site(self) -> Site:
        for line in self._runner.ask(["apt-get", "indextargets", "--format", _TARGETS], self._folder).splitlines():
            uri, origin, label, component, signed_by = line.split("|", 4)
            if origin == label == "Debian" and component == "main":
                return Site(uri, self._keyring(signed_by))
        # Before a machine's first `apt-get update` apt knows no origin: then the address has to tell.
        for uri in _RELEASES.findall(self._runner.ask(["apt-get", "--print-uris", "update"], self._folder)):
            if urlsplit(uri).path.rstrip("/").endswith("/debian"):
                return Site(f"{uri}/", self._keyring(""))
        raise ArchiveError("apt on this machine knows no archive of Debian's", hint=_SOURCE_CURE)

    @staticmethod
    def _keyring(signed_by: str) -> str:
        # Signed-By may hold the key itself, which no one-line entry can.
        if signed_by.startswith("/"):
            return signed_by
        return str(KEYRING) if KEYRING.exists() else ""

    def _apt(self, tool: str) -> list[str]:
        return [tool, "-c", str(self._configuration)]

    def _version(self, source: Source) -> str:
        kind = "Packages" if source.binary else "Sources"
        listed = self._runner.ask([*self._apt("apt-cache"), "madison", source.package], self._folder)
        rows = [[part.strip() for part in line.split("|")] for line in listed.splitlines()]
        versions = [
            row[1]
            for row in rows
            if len(row) == 3
            and row[0] == source.package
            and row[2].endswith(kind)
            and f"{source.suite}/main" in row[2]
        ]
        if not versions:
            raise ArchiveError(f"Debian's {source.suite} has no {source.package} any more", hint=_SOURCE_CURE)
        wanted = source.version.split(".")
        alike = [version for version in versions if upstream(version).split(".")[: len(wanted)] == wanted]
        return (alike or versions)[0]


def upstream(version: str) -> str:
    """The upstream part of a Debian version: 1.26.1 of 1:1.26.1+ds-1."""
    return version.rsplit(":", maxsplit=1)[-1].rsplit("-", 1)[0].split("+", maxsplit=1)[0]

"""A Dockerfile's stages, carried out in a folder, as no image can be built without an engine.

All stages work in one file system here: that holds as long as only one of them changes a path that another
one reads. A container's path is that path below `root`. Of the last stage
only the copies are carried out: what it installs from Debian is not looked at.
"""

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

TARGET = "/opt/s2s-bridge"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What stands between a FROM and the next."""

    base: str
    """As written."""
    name: str | None
    """AS."""
    instructions: tuple[tuple[str, str], ...]
    """Keyword and the rest, continued lines joined."""

    def of(self, keyword: str) -> list[str]:
        """The rest of each instruction of this kind."""
        return [rest for key, rest in self.instructions if key == keyword]

    def one(self, keyword: str) -> str:
        """The only instruction of this kind."""
        (rest,) = self.of(keyword)
        return rest


@dataclass(frozen=True, kw_only=True)
class Dockerfile:
    """The one at the top of the repository."""

    arguments: dict[str, str]
    """ARG before the first stage, with its default."""
    stages: tuple[Stage, ...]

    @property
    def last(self) -> Stage:
        """What is shipped."""
        return self.stages[-1]


def read(path: Path = REPOSITORY / "Dockerfile") -> Dockerfile:
    """What the file says."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    instructions = [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]
    starts = [at for at, (keyword, _) in enumerate(instructions) if keyword == "FROM"]
    ends = [*starts[1:], len(instructions)]
    stages = []
    for start, end in zip(starts, ends, strict=True):
        base, _, name = instructions[start][1].partition(" AS ")
        stages.append(Stage(base=base, name=name or None, instructions=tuple(instructions[start + 1 : end])))
    arguments = dict(rest.split("=", 1) for _, rest in instructions[: starts[0]])
    return Dockerfile(arguments=arguments, stages=tuple(stages))


def command(text: str) -> list[str]:
    """The words of an instruction in JSON, as those of ENTRYPOINT."""
    return json.loads(text[text.index("[") :])


class Folder:
    """Where the stages are carried out."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def inside(self, text: str) -> str:
        """The text with each of the container's paths as it is here."""
        # What pip installs below a root lies there under its whole path.
        text = text.replace(f"/project{TARGET}", f"{self.root}/project{self.root}{TARGET}")
        return re.sub(rf"(?<![\w/.])/(?=(build|project|{TARGET[1:]})\b)", f"{self.root}/", text)

    def build(self, dockerfile: Dockerfile) -> None:
        """Carry out each COPY and RUN of the stages before the last, and the last one's COPY."""
        tools = self.root / "tools"
        tools.mkdir()
        python = tools / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        for stage in dockerfile.stages[:-1]:
            for keyword, rest in stage.instructions:
                if keyword == "COPY":
                    self._copy(rest)
                elif keyword == "RUN":
                    # The cache of pip's user is used, which an image's is not; nothing else of ENV differs.
                    subprocess.run(["sh", "-c", f'PATH="{tools}:$PATH"; {self.inside(rest)}'], check=True)
        for rest in dockerfile.last.of("COPY"):
            self._copy(rest)

    def _copy(self, rest: str) -> None:
        *sources, to = rest.split()
        origin = Path("/")
        if not sources[0].startswith("--from="):
            origin = REPOSITORY
        else:
            sources = [self.inside(source) for source in sources[1:]]
        target = Path(self.inside(to))
        for source in (origin / source for source in sources):
            if source == target:
                continue
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__") if origin == REPOSITORY else None
                shutil.copytree(source, target, ignore=ignored, dirs_exist_ok=True, symlinks=True)
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)


def _size(folder: Path) -> str:
    """How large it is unpacked, and as a layer is sent."""
    unpacked = sum(path.lstat().st_size for path in folder.rglob("*"))
    with tempfile.TemporaryFile() as layer:
        with tarfile.open(fileobj=layer, mode="w:gz", compresslevel=6) as archive:
            archive.add(folder, "layer")
        return f"{unpacked / 1e6:.0f} MB, {layer.tell() / 1e6:.0f} MB compressed"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        made = Folder(Path(name).resolve())
        made.build(read())
        print(f"dependencies, bridge and bytecode: {_size(Path(made.inside(TARGET)))}")
        print(f"the bridge alone: {_size(Path(made.inside(f'/project{TARGET}')))}")

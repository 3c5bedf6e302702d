"""podman, with an image store of its own that leaves with it, or with the user's."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.image.errors import ImageError, MissingTool

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "inference_container" / "Dockerfile"

_SERVER = (
    "--network=host",
    "--read-only",
    "--read-only-tmpfs=false",
    "--tmpfs=/tmp:rw,size=64m,mode=1777",
    "--ipc=none",  # no /dev/shm: serverless endpoints have none to count on
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--user=1000:1000",
    # The defaults are more than some hosts allow.
    "--ulimit=nofile=20000:20000",
    "--ulimit=nproc=4096:4096",
)
"""How a server is run: at least as confined as any endpoint."""


class Podman:
    """Runs podman; with `store`, on images and containers of that folder alone."""

    def __init__(self, store: Path | None = None) -> None:
        if shutil.which("podman") is None:
            raise MissingTool("podman is not installed")
        runtime = next((name for name in ("runc", "crun") if shutil.which(name)), None)
        if runtime is None:
            raise MissingTool("podman has no runtime here; runc and crun are two")
        self._store = store
        self._command = ["podman", "--log-level=error", "--runtime", runtime]
        self._environment = dict(os.environ)
        if store:
            self._command += ["--root", str(store / "images"), "--runroot", str(store / "run")]
            temporary = store / "tmp"  # where an interrupted build leaves its own
            temporary.mkdir(parents=True)
            self._environment["TMPDIR"] = str(temporary)

    def __call__(self, *arguments: str, timeout_s: float = 1800, stderr: int = subprocess.PIPE) -> str:
        """stdout; raises ImageError with the end of stderr if the command fails or takes longer."""
        try:
            done = subprocess.run(
                [*self._command, *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                check=False,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired:
            raise ImageError(f"podman {arguments[0]} took longer than {timeout_s:.0f} s") from None
        if done.returncode:
            raise ImageError(f"podman {arguments[0]} failed with exit code {done.returncode}:\n{_told(done)}")
        return done.stdout.strip()

    def build(
        self, target: str, tag: str, *, arguments: Mapping[str, str], secret: Path, mounts: Mapping[Path, str]
    ) -> None:
        """Builds a target of the Dockerfile, with `secret` as pip's configuration."""
        # The base stands in the store, and chroot isolation builds inside containers and virtual machines too.
        options = ["--isolation=chroot", "--pull=never", f"--secret=id=pip,src={secret}"]
        options += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        options += [f"--volume={path}:{inside}:ro" for path, inside in mounts.items()]
        self("build", *options, f"--file={DOCKERFILE}", f"--target={target}", f"--tag={tag}", str(ROOT))

    def has(self, image: str) -> bool:
        """Whether the image is in the store."""
        try:
            self("image", "inspect", "--format={{.Id}}", image)
        except ImageError:
            return False
        return True

    def size(self, image: str) -> int:
        """Bytes of all layers, uncompressed."""
        return int(self("image", "inspect", "--format={{.Size}}", image))

    def python(self, image: str, code: str) -> str:
        """What a Python program prints in a container of this image."""
        return self("run", "--rm", "--pull=never", *_SERVER, "--entrypoint=python", image, "-c", code)

    @contextmanager
    def serve(
        self, image: str, model: Path, port: int, *, options: Sequence[str] = (), **environment: str
    ) -> Iterator[Container]:
        """A container that serves the artifact in the folder `model` on a port of loopback; gone afterwards."""
        name = f"rerank-image-{uuid.uuid4().hex[:12]}"
        settings = {"RERANK_HOST": "127.0.0.1", "SAGEMAKER_BIND_TO_PORT": str(port), **environment}
        variables = [f"--env={key}={value}" for key, value in settings.items()]
        mount = f"--volume={model}:/opt/ml/model:ro"
        try:
            started = time.monotonic()
            self(
                *("run", "--detach", "--pull=never", f"--name={name}", *_SERVER, *options, *variables, mount, image),
                "serve",
            )
            yield Container(self, name, started)
        finally:
            self("rm", "--force", "--time=0", "--ignore", name)

    def close(self) -> None:
        """Removes the store, if it is one of ours."""
        if self._store is None:
            return
        self("rm", "--all", "--force", "--time=0")
        self("rmi", "--all", "--force")
        images = self._store / "images"
        if os.geteuid() == 0:
            for mount in (images / "overlay", images):
                if mount.is_mount():
                    subprocess.run(["umount", str(mount)], check=True)
        else:  # files of other users in podman's user namespace
            self("unshare", "rm", "-rf", str(images))
        shutil.rmtree(self._store)


def _told(done: subprocess.CompletedProcess[str]) -> str:
    """The last lines of a failed command, up to where a crash of podman's own follows."""
    output = f"{done.stdout}\n{done.stderr or ''}".partition("\npanic: ")[0]
    return "\n".join(f"  {line}" for line in output.splitlines()[-25:])


@dataclass(frozen=True)
class Container:
    podman: Podman
    name: str
    started: float
    """time.monotonic() just before `podman run`."""

    @property
    def running(self) -> bool:
        return self.podman("inspect", "--format={{.State.Running}}", self.name) == "true"

    @property
    def log(self) -> list[str]:
        """Lines of the program's stdout and stderr."""
        return self.podman("logs", self.name, stderr=subprocess.STDOUT).splitlines()

    def terminate(self) -> int:
        """SIGTERM, and SIGKILL 30 s later, as SageMaker does; the exit code."""
        self.podman("stop", "--time=30", self.name)
        return self.exit_code()

    def exit_code(self, timeout_s: float = 60) -> int:
        """Waits for the end of the container's program."""
        return int(self.podman("wait", self.name, timeout_s=timeout_s))

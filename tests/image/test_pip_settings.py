from __future__ import annotations

from pathlib import Path

from tools.image.pip_settings import PipSettings


def test_the_environment_wins_over_files_and_what_is_not_of_indexes_stays_out() -> None:
    settings = PipSettings.parse(
        ":env:.timeout='30'\nglobal.timeout='180'\nglobal.index-url='https://example.org/simple'\ninstall.user='true'\n"
    )

    assert settings.values == {"timeout": "30", "index-url": "https://example.org/simple"}
    assert settings.mounts == {}


def test_local_paths_are_mounted_and_named_as_the_build_sees_them(tmp_path: Path) -> None:
    wheels, index = tmp_path / "wheels", tmp_path / "mirror" / "simple"
    certificate = tmp_path / "ca.pem"
    for folder in (wheels, index):
        folder.mkdir(parents=True)
    certificate.touch()

    settings = PipSettings.parse(
        f"global.find-links='{wheels} https://example.org/wheels'\n"
        f"global.extra-index-url='file://{index}'\n"
        f"global.cert='{certificate}'\n"
    )

    inside = settings.mounts
    assert set(inside) == {wheels, index.parent, certificate}
    assert settings.to_ini().splitlines() == [
        "[global]",
        # With its parent, where the files lie that an index points to.
        f"extra-index-url = file://{inside[index.parent]}/simple",
        f"find-links = {inside[wheels]} https://example.org/wheels",
        f"cert = {inside[certificate]}",
    ]


def test_paths_that_do_not_exist_are_left_out(tmp_path: Path) -> None:
    settings = PipSettings.parse(
        f"global.find-links='{tmp_path / 'gone'}'\nglobal.extra-index-url='file://{tmp_path / 'gone'}/simple'\n"
    )

    assert settings.values == {}
    assert settings.mounts == {}


def test_several_lines_of_a_file_become_one() -> None:
    settings = PipSettings.parse(r"global.trusted-host='\nexample.org\nexample.net'")

    assert settings.to_ini() == "[global]\ntrusted-host = example.org example.net\n"

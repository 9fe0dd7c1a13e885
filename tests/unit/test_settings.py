from __future__ import annotations

from pathlib import Path

import pytest

from prismicx.errors import InvalidInput
from prismicx.settings import MASK, Settings, describe, load, mask_url

DOCS = Path(__file__).parents[2] / "docs"


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "prismicx.toml"
    file.write_text("pool_size = 3\nport = 1003\nmongo_port = 2003\n")
    environ = {"PRISMICX_POOL_SIZE": "2", "PRISMICX_PORT": "1002"}
    loaded = load({"pool_size": 1, "port": None}, environ, file)
    assert loaded.settings.pool_size == 1
    assert loaded.settings.port == 1002
    assert loaded.settings.mongo_port == 2003
    assert loaded.settings.postgres_port == Settings().postgres_port
    assert loaded.sources["pool_size"] == "flag"
    assert loaded.sources["port"] == "environment PRISMICX_PORT"
    assert loaded.sources["mongo_port"] == f"file {file}"
    assert loaded.sources["postgres_port"] == "default"


def test_the_file_of_the_working_directory_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load({}, {}).settings.pool_size == Settings().pool_size
    Path("prismicx.toml").write_text("pool_size = 5\n")
    assert load({}, {}).settings.pool_size == 5


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        ({"pool_size": "many"}, "settings.invalid"),
        ({"pool_size": 0}, "settings.invalid"),
        ({"port": 70000}, "settings.invalid"),
        ({"port": -1}, "settings.invalid"),
        ({"registry_cache": -1}, "settings.invalid"),
        ({"postgres_url": "mysql://x"}, "settings.invalid"),
        ({"mongo_url": "postgresql://x"}, "settings.invalid"),
        ({"mongo_engine": "oracle"}, "settings.invalid"),
        ({"namespace": "No"}, "settings.namespace_invalid"),
        ({"data": "a\0b"}, "settings.invalid"),
        ({"pool_size": True}, "settings.invalid"),
        ({"nonsense": 1}, "settings.unknown"),
    ],
)
def test_a_bad_value_is_named(flags: dict[str, object], code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load(flags, {})
    assert caught.value.code == code
    assert next(iter(flags)) in caught.value.message


@pytest.mark.parametrize("content", ["pool_size = ", "\x00", "pool_size = [1]", "unheard_of = 1", "[pool_size]\nx = 1"])
def test_a_bad_file_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(content)
    with pytest.raises(InvalidInput):
        load({}, {}, file)


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nowhere\.toml"):
        load({}, {"PRISMICX_CONFIG": str(tmp_path / "nowhere.toml")})


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:geheim@h/db", "mongodb://u:geheim@a:1,b:2/?x=1", "postgresql://u:geh%40eim@h:5/db?a=b"],
)
def test_a_masked_url_has_no_password(url: str) -> None:
    masked = mask_url(url)
    assert "geh" not in masked
    assert MASK in masked
    assert "u:" in masked


def test_every_setting_is_documented_with_its_variable_and_default() -> None:
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    for info in describe():
        row = next((line for line in text.splitlines() if line.startswith(f"| `{info.name}` ")), None)
        assert row is not None, f"docs/configuration.md has no row for {info.name}"
        assert f"`{info.variable}`" in row
        assert info.help in row
        assert (f"`{info.default}`" if info.default else "empty") in row


def test_the_documented_settings_exist() -> None:
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    known = {info.name for info in describe()}
    rows = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `") and "PRISMICX_" in line]
    assert set(rows) == known


def test_paths_are_absolute_and_those_of_a_file_relative_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load({}, {}).settings.data == tmp_path / ".prismicx"
    assert load({"data": Path("here")}, {}).settings.data == tmp_path / "here"
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub" / "other.toml"
    file.write_text('data = "there"\ncredentials = "keys.json"\n')
    settings = load({}, {}, Path("sub/other.toml")).settings
    assert settings.data == tmp_path / "sub" / "there"
    assert settings.credentials_file == tmp_path / "sub" / "keys.json"
    assert load({"data": Path("here")}, {}, file).settings.data == tmp_path / "here"

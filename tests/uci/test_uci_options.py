"""The options are lc0's where lc0 has them."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from arena.config import SearchParams
from arena.uci.options import (
    OptionError,
    Settings,
    read_setoption,
    uci_options,
    with_option,
)

OTHERWISE = {
    "ScoreType": "ours is lc0's formula of before WDL_mu, which needs its rescaled values",
    "SmartPruningFactor": "off, as in arena run: nodes are exact",
    "NNCacheSize": "as in arena run",
}
"""Options whose defaults or kinds are not lc0's, and why."""


def test_names_kinds_and_defaults_are_lc0s(shared: Path) -> None:
    text = (shared / "golden" / "lc0_uci_options.txt").read_text()
    lc0 = {
        line.split(" type ")[0].removeprefix("option name "): line
        for line in text.splitlines()
        if line.startswith("option ")
    }
    common = 0
    for option in uci_options():
        line = option.declared(Settings())
        assert option.name in lc0 or option.name.lower() not in map(str.lower, lc0)
        if option.name in lc0 and option.name not in OTHERWISE:
            common += 1
            expected = re.sub(r" (min|max) \S+", "", lc0[option.name])
            assert re.sub(r" (min|max) \S+", "", line) == expected
    assert common >= 20


def test_every_setting_of_the_search_is_an_option() -> None:
    set_by = {option.sets for option in uci_options() if option.of_search}
    assert set_by | {"visits", "mode"} == {setting.name for setting in fields(SearchParams)}


def test_what_is_set_is_declared_as_the_default() -> None:
    settings = with_option(Settings(), "cpuct", "2.5")
    assert settings.search.cpuct == 2.5
    (line,) = (option.declared(settings) for option in uci_options() if option.name == "CPuct")
    assert line == "option name CPuct type string default 2.500000"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CPuct", "much"),
        ("CPuct", "nan"),
        ("CPuct", "inf"),
        ("CPuct", "-1"),
        ("CPuct", ""),
        ("MultiPV", "0"),
        ("MultiPV", "501"),
        ("MultiPV", "1.0"),
        ("UCI_ShowWDL", "yes"),
        ("ScoreType", "apples"),
        ("PolicyTemperature", "0"),
        ("Threads", "2"),
        ("Hash", "16"),
        ("", "x"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_in_one_line(name: str, value: str) -> None:
    with pytest.raises(OptionError) as refused:
        with_option(Settings(), name, value)
    assert "\n" not in str(refused.value)
    assert "--" not in str(refused.value)


def test_settings_that_need_another_one_may_be_set_before_it() -> None:
    early = with_option(Settings(), "CPuctAtRoot", "3.0")
    assert early.search == SearchParams()
    both = with_option(early, "RootHasOwnCpuctParams", "true")
    assert both.search == SearchParams(root_has_own_cpuct_params=True, cpuct_at_root=3.0)
    assert with_option(both, "RootHasOwnCpuctParams", "false").search == SearchParams()
    fpu = with_option(Settings(), "FpuValueAtRoot", "0.5")
    assert with_option(fpu, "fpustrategyatroot", "ABSOLUTE").search == SearchParams(
        fpu_strategy_at_root="absolute", fpu_value_at_root=0.5
    )


def test_what_guis_set_in_any_engine_is_tolerated_where_it_changes_nothing() -> None:
    assert with_option(Settings(), "Ponder", "false") == Settings()
    assert with_option(Settings(), "threads", "1") == Settings()


def test_names_and_values_may_have_spaces() -> None:
    assert read_setoption("name Clear Hash") == ("Clear Hash", "")
    assert read_setoption("name  CPuct   value  1.5 ") == ("CPuct", "1.5")
    assert read_setoption("name a value value b value c") == ("a", "value b value c")
    for broken in ("", "CPuct value 1", "name", "name value 1", "names x value 1"):
        with pytest.raises(OptionError):
            read_setoption(broken)

"""The catalogue: it leaves out nothing that the contract page demands."""

import re
from pathlib import Path

import pytest

from conformance.catalogue import CONTRACT_FILE, Level, load_catalogue
from conformance.problems import InvalidInputError

# One row of a table of the contract page: ids, level, statement. Several ids of a row share their level.
ROW = re.compile(r"^\| (?P<ids>[a-z]+\.[^|]+?) \| (?P<level>MUST|SHOULD|INTERPRETED) \|", re.MULTILINE)


def clauses_of_the_contract() -> dict[str, Level]:
    """Read the ids and levels of the contract page; `clients.onnx.predict / ...` counts as several."""
    text = CONTRACT_FILE.read_text(encoding="utf-8")
    return {
        clause_id.strip(): Level(row["level"]) for row in ROW.finditer(text) for clause_id in row["ids"].split(" / ")
    }


def test_every_clause_of_the_contract_is_in_the_catalogue() -> None:
    """Each id of the contract page is a clause, with the same level."""
    catalogue = load_catalogue()
    contract = clauses_of_the_contract()
    assert len(contract) > 80
    assert {clause_id: catalogue[clause_id].level for clause_id in contract} == contract


def test_clauses_beyond_the_contract_are_known() -> None:
    """The one further clause splits a row of the contract page that has two levels."""
    assert set(load_catalogue()) - set(clauses_of_the_contract()) == {"clients.sole-name-optional"}


def test_every_clause_names_a_heading_of_the_document() -> None:
    """Where a clause comes from is a heading of spec/models.md."""
    headings = set(
        re.findall(r"^#+ (.+)$", (CONTRACT_FILE.parent / "models.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    for clause in load_catalogue().values():
        assert set(clause.document.split(" > ")) <= headings, clause.id


ONE = """
version = "1"
[[clause]]
id = "layouts.a"
level = "MUST"
profile = "core"
document = "Models"
statement = "A."
"""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (ONE + ONE.replace('version = "1"', ""), "two clauses have the same id"),
        (ONE + 'requires = ["layouts.b"]', "layouts.a requires layouts.b, which is no clause"),
        (ONE + 'requires = ["layouts.a"]', "layouts.a requires itself"),
        (ONE.replace("layouts.a", "outlays.a"), "belongs to no family"),
        (ONE.replace("MUST", "MAY"), "level"),
        (ONE + "colour = 1", "colour"),
    ],
)
def test_malformed_catalogue_is_an_error(content: str, words: str, tmp_path: Path) -> None:
    """What is wrong with a catalogue is said with its file."""
    file = tmp_path / "clauses.toml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInputError, match=re.escape(str(file))) as caught:
        load_catalogue(file)
    assert words in str(caught.value)

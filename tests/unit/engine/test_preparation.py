"""What a run says that it was made of."""

from pathlib import Path

from provision.engine.preparation import tree_hash


def test_the_hash_of_a_role_changes_with_its_code_and_not_with_its_tests(tmp_path: Path) -> None:
    template = tmp_path / "templates/locations.conf.j2"
    template.parent.mkdir()
    template.write_text("as it was")
    before = tree_hash(tmp_path)
    test = tmp_path / "molecule/default/verify.yml"
    test.parent.mkdir(parents=True)
    test.write_text("[]")
    (tmp_path / "verify").mkdir()
    (tmp_path / "verify/test_wiki.py").write_text("")
    assert tree_hash(tmp_path) == before
    template.write_text("changed")
    assert tree_hash(tmp_path) != before

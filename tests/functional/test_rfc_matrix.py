"""The RFC matrix is whole: every RFC has its tests, and docs/rfcs.md is what they say."""
import rfc_matrix


def test_the_table_is_what_the_tests_say():
    assert rfc_matrix.TABLE.read_text() == rfc_matrix.table(), "write it anew: .venv/bin/python tests/functional/rfc_matrix.py >docs/rfcs.md"


def test_every_rfc_has_tests():
    rfc_matrix.table()
    assert {number for number, *_ in rfc_matrix.requirements} == set(rfc_matrix.RFCS) == set(rfc_matrix.ELSEWHERE)


def test_no_demand_is_there_twice():
    rfc_matrix.table()
    demands = [row[:3] for row in rfc_matrix.requirements]
    assert len(demands) == len(set(demands))

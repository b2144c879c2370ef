"""Text tables: what is read, and that an error names the file, the line and its text."""

import random

import pytest

from gnnlib.datasets import DatasetError
from gnnlib.datasets._text import decoded, numbers, table
from tests.datasets.test_damage import flipped

HEADER = "id,name,kind"
ROWS = 'id,name,kind\n0,"Riga, Latvia",city\n1,"a ""b""\nc",ünï\n'.encode()


def test_lines_end_as_those_of_unix_or_windows_and_the_last_may_not_end():
    expected = [[0, 1], [2, 3]]
    for data in (b"0 1\n2 3\n", b"0 1\r\n2 3\r\n", b"0\t1\n 2  3 "):
        assert numbers(data, "f", (4, 4)).tolist() == expected
    assert numbers(b"0,1\n2,3", "f", (4, 4), separator=b",").tolist() == expected
    assert numbers(b"", "f", (4, 4)).shape == (0, 2)


@pytest.mark.parametrize(
    "line",
    ["0", "0 1 2", "0 4", "-1 0", "0 x", "0 1.0", "", "0 9999999999", "0 ²", "<!DOCTYPE html>"],
)
def test_a_line_that_is_not_so_many_numbers_is_named(line):
    data = f"0 1\n{line}\n2 3\n".encode()
    with pytest.raises(DatasetError, match=r"^f line 7 must hold 2 numbers in \[0, 4\)") as info:
        numbers(data, "f", (4, 4), first_line=6)
    assert str(info.value).endswith(f"got {line!r}")


def test_a_long_line_is_shortened_and_bytes_that_are_no_text_are_shown():
    with pytest.raises(DatasetError, match=f"got '{'7' * 60}…'$"):
        numbers(b"7" * 10**6, "f", (4,))
    with pytest.raises(DatasetError, match="got '1 \ufffd'$"):
        numbers(b"1 \xff", "f", (4, 4))


def test_a_cell_of_a_table_may_hold_commas_quotes_line_ends_and_any_letter():
    assert list(table(ROWS, "f", HEADER)) == [
        (2, ["0", "Riga, Latvia", "city"]),
        (4, ["1", 'a "b"\nc', "ünï"]),  # the line that it ends in
    ]
    windows = b"id,name,kind\r\n0,a,b\r\n"
    assert list(table(windows, "f", HEADER)) == [(2, ["0", "a", "b"])]


WRONG_TABLES = {
    "another header": (b"id,title,kind\n", "f line 1 must be 'id,name,kind', got 'id,title,kind'"),
    "no header": (b"", "f line 1 must be 'id,name,kind', got ''"),
    "a page of HTML": (b"<!DOCTYPE html>\n<html>\n", "f line 1 must be .*, got '<!DOCTYPE html>'"),
    "a cell too few": (ROWS + b"2,x\n", r"f line 5 must hold 3 cells \(id,.*got 2: '2,x'"),
    "a cell too many": (ROWS + b"2,x,y,z\n", "f line 5 must hold 3 cells .*got 4: '2,x,y,z'"),
    "an empty line": (ROWS + b"\n0,1,2\n", "f line 5 must hold 3 cells .*got 0: ''"),
    "a quote that does not end": (ROWS + b'2,"x,y\n', "f line 5 is no CSV: unexpected end"),
    "text after a quote": (ROWS + b'2,"x"y,z\n', "f line 5 is no CSV"),
    "a cell without end": (ROWS + b'2,"' + b"x" * 200_000 + b'",z\n', "f line 5 is no CSV: field"),
    "no UTF-8": (ROWS + b"2,\xff,z\n", "f line 5 is no UTF-8: invalid start byte"),
}


@pytest.mark.parametrize(("data", "message"), WRONG_TABLES.values(), ids=WRONG_TABLES.keys())
def test_what_is_no_such_table_is_refused(data, message):
    with pytest.raises(DatasetError, match=message):
        list(table(data, "f", HEADER))


def test_damaged_text_is_refused_or_read():
    draw = random.Random(0)
    noise = [draw.randbytes(size) for size in (0, 1, 10, 1000)]
    refused = 0
    for data in [*(ROWS[:end] for end in range(len(ROWS))), *flipped(ROWS, 300), *noise]:
        try:
            assert all(len(row) == 3 for _, row in table(data, "f", HEADER))
        except DatasetError:
            refused += 1
    assert refused > 50


def test_text_is_utf_8():
    assert decoded("ünï".encode(), "f") == "ünï"
    with pytest.raises(DatasetError, match="f line 3 is no UTF-8"):
        decoded(b"a\nb\n\x80", "f")

import math

import pytest

from gnnlib.train.braille import draw


def text(rows) -> list[str]:
    return ["".join(character for character, _ in row) for row in rows]


def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right():
    assert text(draw([[0.0, 1.0]], 4, 2, 0, 1)) == ["⠀⠀⡠⠊", "⡠⠊⠀⠀"]


def test_a_jump_is_joined():
    (row,) = draw([[0.0, 1.0]], 1, 1, 0, 1)
    assert text([row]) == [chr(0x2800 + 0x40 + 0x08 + 0x10 + 0x20)]


def test_nan_is_a_gap():
    (row,) = draw([[1.0, 1.0, math.nan, math.nan, 1.0, 1.0]], 3, 1, 0, 1)
    assert text([row]) == ["⠉⠀⠉"]
    assert text(draw([[math.nan] * 5], 2, 1, 0, 1)) == ["⠀⠀"]


def test_a_cell_belongs_to_the_last_curve_in_it():
    (row,) = draw([[0.0, 0.0], [1.0, 1.0]], 2, 1, 0, 1)
    assert [owner for _, owner in row] == [1, 1]
    top, bottom = draw([[0.0, 0.0], [1.0, 1.0]], 1, 2, 0, 1)
    assert (top[0][1], bottom[0][1]) == (1, 0)
    assert draw([[]], 1, 1, 0, 1) == [[("⠀", None)]]


def test_values_outside_the_scale_stay_at_its_ends():
    rows = text(draw([[-9.0, -9.0, 9.0, 9.0]], 2, 2, 0, 1))
    assert rows == ["⠀⡏", "⣀⠇"]
    assert text(draw([[math.inf, math.inf]], 2, 2, 0, 1)) == ["⠉⠉", "⠀⠀"]


@pytest.mark.parametrize("values", [[3.0], [3.0, 3.0, 3.0], [3.0] * 1000])
def test_a_constant_is_in_the_middle(values):
    rows = text(draw([values], 2, 4, 3, 3))
    assert rows[0] == rows[3] == "⠀⠀"
    assert any(character != "⠀" for character in rows[1] + rows[2])

import unittest

import tally


class Tally(unittest.TestCase):
    def test_whole_amounts(self):
        self.assertEqual(tally.parse("12"), 1200)

    def test_one_digit_after_the_point_is_tens_of_cents(self):
        self.assertEqual(tally.parse("12.5"), 1250)

    def test_negative_amounts(self):
        self.assertEqual(tally.parse("-0.07"), -7)

    def test_a_column(self):
        self.assertEqual(tally.show(tally.total(["1.5", "", "-0.25", "3"])), "4.25")


if __name__ == "__main__":
    unittest.main()

"""Sums amounts of money. Cents are integers throughout: floats lose them."""


def parse(text):
    """Cents of an amount such as "12", "12.5" or "-0.07"."""
    sign = -1 if text.startswith("-") else 1
    whole, _, part = text.lstrip("+-").partition(".")
    return sign * (int(whole or "0") * 100 + int(part or "0"))


def total(lines):
    return sum(parse(line.strip()) for line in lines if line.strip())


def show(cents):
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"

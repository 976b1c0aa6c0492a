"""Adds up the closing lines that pytest wrote into a log: the tests here, and those in each Blender."""

import re
import sys

CLOSING = re.compile(r"^[= ]*((?:\d+ \w+(?:, )?)+) in ([\d.]+)s")


def added_up(lines):
    """One line as pytest writes it; None when no pytest came to its end."""
    counts, seconds = {}, 0.0
    for line in lines:
        found = CLOSING.match(line)
        if found:
            seconds += float(found.group(2))
            for number, word in re.findall(r"(\d+) (\w+)", found.group(1)):
                singular = word[:-1] if word in ("errors", "warnings") else word
                counts[singular] = counts.get(singular, 0) + int(number)
    plural = {
        word: word + "s" if word in ("error", "warning") and count > 1 else word for word, count in counts.items()
    }
    said = ", ".join(f"{counts[word]} {plural[word]}" for word in counts)
    return f" {said} in {seconds:.2f}s ".center(80, "=") if counts else None


if __name__ == "__main__":
    print(added_up(sys.stdin) or "pytest did not come to its end")

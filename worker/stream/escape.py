"""Show bytes that somebody else wrote without letting them draw on the terminal. Pure."""

_ROW_BYTES = 16


def printable(data: bytes | str | None) -> str:
    """One line: every invisible character (control, bidi, zero width) and every byte that is not UTF-8 as an escape."""
    if data is None:
        return "(none)"
    text = data.decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def hexdump(data: bytes) -> list[str]:
    """Lines of offset, bytes in hexadecimal, and the ASCII among them."""
    lines = []
    for start in range(0, len(data), _ROW_BYTES):
        row = data[start : start + _ROW_BYTES]
        ascii_ = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{start:08x}  {row.hex(' '):<{_ROW_BYTES * 3 - 1}}  {ascii_}")
    return lines

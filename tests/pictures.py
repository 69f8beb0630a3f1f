"""What stands in a widget's still picture: its chips and its lines, in order."""

from xml.etree import ElementTree as ET


def words_in(svg: str, between: str = "") -> str:
    return between.join(ET.fromstring(svg).itertext())


def tags_in(svg: str) -> set[str]:
    return {node.tag.rpartition("}")[2] for node in ET.fromstring(svg).iter()}


def chips_in(svg: str) -> list[list[list[str]]]:
    """Each block of chips; of a chip the piece, and what stands beneath it, line by line."""
    blocks: list[list[list[str]]] = []
    for group in ET.fromstring(svg):
        if group.get("text-anchor") != "middle" or not group.tag.endswith("}g"):
            continue
        blocks.append([])
        for node in group:
            if node.get("height") == "25":
                blocks[-1].append([])
            elif node.tag.endswith("}text"):
                blocks[-1][-1].append("".join(node.itertext()))
    return blocks


def lines_in(svg: str) -> list[str]:
    """What stands outside of chips and drawings: headings, notes and lines of numbers."""
    return ["".join(node.itertext()) for node in ET.fromstring(svg) if node.tag.endswith("}text")]

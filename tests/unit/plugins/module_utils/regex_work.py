# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much work a regular expression may cost at the worst, told from its structure.

Python's engine goes back over its choices: two neighbouring repeats that can share characters, or a repeat inside a repeat, cost the
product of their lengths at every place of a hostile line. This bounds, for one place where a match may begin, the number of single
characters that the engine may have to look at until it gives up there.
"""

from __future__ import annotations

import re

try:
    from re import _constants as constants
    from re import _parser as parser
except ImportError:  # before Python 3.11
    import sre_constants as constants
    import sre_parse as parser

ALPHABET = frozenset(chr(code) for code in (*range(0x180), 0x2028, 0xE000, 0x1F600))
_REPEATS = (constants.MAX_REPEAT, constants.MIN_REPEAT)
_END = None  # what follows is the end of the expression: whatever was matched is good


class UnboundedError(ValueError):
    """A repeat without an upper bound, or one inside another."""


def steps(expression):
    """The most characters looked at from one place. Raises UnboundedError when there is no such bound."""
    return _sequence(list(parser.parse(expression)), _END)[1]


def _sequence(nodes, follow):
    """(ways, steps) of nodes with ``follow``, the characters that may come after them, behind.

    Ways: at how many lengths it may end so that what follows may still match. Steps: characters looked at for all of them.
    """
    ways, cost = 1, 0
    for node in reversed(nodes):
        node_ways, node_cost = _node(node, follow)
        ways, cost = ways * node_ways, node_cost + node_ways * cost
        follow = _first(node, follow)
    return ways, cost


def _node(node, follow):
    operator, value = node
    if operator is constants.SUBPATTERN:
        return _sequence(list(value[-1]), follow)
    if operator is constants.BRANCH:
        options = [_sequence(list(option), follow) for option in value[1]]
        together = max if _are_apart([_first_of(list(option), follow) for option in value[1]]) else sum
        return together(ways for ways, _cost in options), sum(cost for _ways, cost in options)
    if operator in _REPEATS:
        return _repeat(value, follow)
    if operator in (constants.AT, constants.LITERAL, constants.NOT_LITERAL, constants.IN, constants.ANY):
        return 1, 1
    raise UnboundedError(f"{operator} is not looked into")


def _repeat(value, follow):
    least, most, body = value
    if most is constants.MAXREPEAT:
        raise UnboundedError("a repeat has no upper bound")
    inner = list(body)
    if most == 1:
        ways, cost = _sequence(inner, follow)
        overlap = follow is not _END and bool(_first_of(inner, frozenset()) & follow)
        return ways + overlap, cost + 1
    if len(inner) != 1 or inner[0][0] not in (constants.LITERAL, constants.NOT_LITERAL, constants.IN, constants.ANY):
        raise UnboundedError("a repeat holds more than one set of characters")
    overlap = follow is not _END and bool(_characters(inner[0]) & follow)
    return (most - least + 1 if overlap else 1), 2 * most


def _first(node, follow):
    """The characters with which node, and what follows where node may be empty, may begin."""
    operator, value = node
    if operator is constants.SUBPATTERN:
        return _first_of(list(value[-1]), follow)
    if operator is constants.BRANCH:
        return _union([_first_of(list(option), follow) for option in value[1]])
    if operator in _REPEATS:
        own = _first_of(list(value[2]), follow)
        return _union([own, follow]) if value[0] == 0 else own
    if operator is constants.AT:
        return follow
    return _characters(node)


def _first_of(nodes, follow):
    for node in reversed(nodes):
        follow = _first(node, follow)
    return follow


def _are_apart(sets):
    """Whether no two of the sets share a character: then only one of the options can match."""
    return all(one is not _END for one in sets) and len(_union(sets)) == sum(len(one) for one in sets)


def _union(sets):
    return _END if any(one is _END for one in sets) else frozenset().union(*sets)


def _characters(node):
    """The characters of the alphabet that a node for one character matches."""
    single = _compiled(node)
    return frozenset(character for character in ALPHABET if single(character))


def _compiled(node):
    operator, value = node
    if operator is constants.LITERAL:
        return lambda character: ord(character) == value
    if operator is constants.NOT_LITERAL:
        return lambda character: ord(character) != value
    if operator is constants.ANY:
        return lambda character: character != "\n"
    return _set(value)


def _set(items):
    negated = items[0][0] is constants.NEGATE
    members = [_member(item) for item in items[1 if negated else 0 :]]
    return lambda character: any(member(character) for member in members) != negated


def _member(item):
    operator, value = item
    if operator is constants.LITERAL:
        return lambda character: ord(character) == value
    if operator is constants.RANGE:
        return lambda character: value[0] <= ord(character) <= value[1]
    classes = {constants.CATEGORY_SPACE: r"\s", constants.CATEGORY_DIGIT: r"\d", constants.CATEGORY_WORD: r"\w"}
    pattern = re.compile(classes[value])
    return lambda character: pattern.match(character) is not None

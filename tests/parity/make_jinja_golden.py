#!/usr/bin/env python3
"""Writes tests/unit/jinja/data/snippets.jsonl: what transformers' environment for chat templates makes of snippets.

The first line holds the variables; each other is a template with its text, or null where it raises an exception. The
snippets written here say what each part of the language does; the others are drawn from a grammar, with a fixed seed.
Left out is what lib/jinja refuses and Python does not: integers beyond 64 bits, texts with addresses in memory, and
what pprint makes of values longer than a line.
"""

import argparse
import json
import random
import re
from datetime import datetime
from pathlib import Path
from unittest import mock

from transformers.utils import chat_template_utils

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "tests" / "unit" / "jinja" / "data" / "snippets.jsonl"
SEED = 20240704
NOW = datetime(2024, 7, 4, 15, 6, 9)
VARIABLES = {
    "messages": [
        {"role": "system", "content": " Be brief.\n"},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]},
        {"role": "assistant", "content": "An <owl> & a 'cat'.", "tool_calls": [{"name": "f", "arguments": {"x": 1, "y": [True, None]}}]},
        {"role": "user", "content": "Where\u2019s the \u732b? \U0001f600 e\u0301"},
    ],
    "tools": [{"type": "function", "function": {"name": "get_weather", "description": "It's \"nice\"\n\ttoo",
                                                "parameters": {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "number"}}}}}],
    "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>",
    "none_value": None, "yes": True, "no": False, "zero": 0, "one": 1, "seven": 7, "minus": -3, "big": 4611686018427387904,
    "half": 0.5, "pi": 3.14159, "large": 1e20, "tiny": 1.5e-7, "whole": 3.0, "nan_text": "nan",
    "empty": "", "text": "Hello, World", "words": "the quick  brown\tfox\njumps over", "lines": "a\n b\r\n\n c\u2028d", "padded": "  x y  ",
    "unicode": "\u00e9\u00df\u0130\u01c5 \u03a3\u03a3 \ufb01 \u732b\U0001f600", "number_text": " 42 ", "float_text": "-1.5e3", "html": "<a href='x'>\"&\"</a>",
    "numbers": [3, 1, 2], "mixed": [1, "a", None, True, 2.5, [1], {"k": "v"}], "strings": ["b", "A", "c", "a"], "nested": [[1, 2], [3, 4], []], "nothing": [],
    "mapping": {"b": 1, "a": 2, "C": 3, "items": "shadow"}, "empty_map": {}, "people": [{"name": "Ann", "age": 30, "home": {"town": "Ulm"}},
                                                                                  {"name": "bob", "age": 25, "home": {"town": "Bonn"}}, {"name": "Cy", "age": 30}],
    "keys": {"1": "one", "True": "yes", "with space": [1]},
    "tree": [{"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3, "kids": [{"v": 4, "kids": []}]}]}],
}


def compile_template(source):
    return chat_template_utils._compile_jinja_template(source)


class Clock(datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


def render(source):
    """The text, None for an exception, or False for a snippet that is left out."""
    try:
        with mock.patch.object(chat_template_utils, "datetime", Clock):
            text = compile_template(source).render(**json.loads(json.dumps(VARIABLES)))
        text.encode()
    except UnicodeEncodeError:
        return False
    except Exception as problem:
        # What takes a second and more is left to the tests of limits.
        return False if isinstance(problem, (RecursionError, MemoryError)) else None
    if "pprint" in source and "\n" in text:
        return False
    if re.search(r" at 0x[0-9a-f]+>|<built-in|<function|<class", text):
        return False
    if any(abs(int(digits)) >= 2**63 for digits in re.findall(r"-?\d{19,}", text)) or len(text) > 2000:
        return False
    return text


SNIPPETS = r"""
plain text
{{ text }}{{ one }}{{ half }}{{ none_value }}{{ yes }}{{ missing }}
{{ missing.x }}
{{ missing is defined }} {{ text is defined }} {{ mapping.zz is defined }}
{{ mapping.items }}
{{ mapping['items'] }} {{ mapping.b }} {{ mapping['b'] }} {{ mapping.get('zz', 5) }} {{ mapping.get('zz') }}
{{ messages[0]['role'] }} {{ messages[-1].role }} {{ messages[10] }} {{ messages[0].nope }}
{{ messages[1:] | length }} {{ numbers[::-1] }} {{ text[2:5] }} {{ text[-3:] }} {{ text[::2] }} {{ numbers[5:] }} {{ unicode[1:4] }} {{ unicode[::-1] }}
{{ 1 + 2 * 3 }} {{ (1 + 2) * 3 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 7 / 2 }} {{ 6 / 2 }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 3 > 2 >= 2 }} {{ 1 == 1.0 == true }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }}
{{ 'a' ~ 1 ~ none ~ true ~ 1.5 ~ missing }}
{{ 'a' + 1 }}
{{ 'a' * 3 }} {{ [1] * 2 }} {{ 2 * 'ab' }}
{{ '%s is %d and %.2f' % ('x', 3, 2.5) }} {{ '%5s|%-5s|%05d' % ('a', 'b', 42) }} {{ '%(a)s' % {'a': 1} }} {{ '%x %X %o %e %g %%' % (255, 255, 8, 1234.5, 0.0001) }}
{{ 'abc' in 'xabcx' }} {{ 1 in [1, 2] }} {{ 'b' in mapping }} {{ 'z' not in mapping }} {{ none in mixed }} {{ 'a' in missing }}
{{ not yes }} {{ yes and 'x' }} {{ no or 'y' }} {{ zero or none }} {{ yes if no }}|{{ 'a' if yes else 'b' }}
{{ [1, 'a', none, true, 1.5, {'k': "it's"}, (1,), ()] }}
{{ {'a': 1, 'b': [1, 2], 3: none} }} {{ (1, 2) }} {{ 1, 2 }} {{ "it's" }} {{ ["it's"] }} {{ ['"both\''] }} {{ ['tab\t nl\n bs\\ é 猫 \x01'] }}
{{ 1e20 }} {{ 1e15 }} {{ 1e16 }} {{ 0.0001 }} {{ 0.00001 }} {{ 1.0 }} {{ 1_000 }} {{ 0x1f }} {{ 0b101 }} {{ 0o17 }} {{ 1.5e3 }} {{ 3.14_15 }} {{ 100.0 ** 10 }}
{{ 'a\nb\x41\u00e9\101\q' }} {{ "a" 'b' "c" }} {{ 'back\猫 \\é' }}
{{ text.upper() }} {{ text.lower() }} {{ text.title() }} {{ text.swapcase() }} {{ text.capitalize() }} {{ unicode.upper() }} {{ unicode.lower() }} {{ unicode.title() }}
{{ padded.strip() }}|{{ padded.lstrip() }}|{{ padded.rstrip() }}| {{ 'xxabxx'.strip('x') }} {{ 'abcba'.lstrip('ab') }} {{ '猫a猫'.strip('猫') }}
{{ words.split() }} {{ words.split(' ') }} {{ words.split(none, 2) }} {{ words.rsplit(' ', 1) }} {{ 'a,b,,c'.split(',') }} {{ 'a,b,,c'.split(',', maxsplit=1) }} {{ ''.split() }} {{ ''.split(',') }}
{{ lines.splitlines() }} {{ lines.splitlines(true) }} {{ 'a</think>b</think>c'.split('</think>')[-1] }} {{ 'a</think>b'.split('</think>')[0].rstrip('\n') }}
{{ text.startswith('Hell') }} {{ text.endswith(('x', 'ld')) }} {{ text.startswith('World', 7) }} {{ text.find('o') }} {{ text.rfind('o') }} {{ text.find('zz') }} {{ text.index('W') }} {{ text.count('l') }}
{{ text.index('zz') }}
{{ text.replace('l', 'L') }} {{ text.replace('l', 'L', 1) }} {{ text.replace('', '-') }} {{ text | replace('o', '0') }} {{ text | replace('o', '0', 1) }}
{{ ', '.join(strings) }} {{ ', '.join(numbers) }}
{{ text.isdigit() }} {{ '12'.isdigit() }} {{ '²'.isdigit() }} {{ '½'.isnumeric() }} {{ 'ab'.isalpha() }} {{ 'a1'.isalnum() }} {{ ' '.isspace() }} {{ 'Ab'.istitle() }} {{ 'ab'.islower() }} {{ 'AB'.isupper() }} {{ 'x_1'.isidentifier() }}
{{ '42'.zfill(5) }} {{ '-42'.zfill(5) }} {{ 'a'.center(5, '*') }} {{ 'ab'.center(5) }}| {{ 'a'.ljust(3) }}| {{ 'a'.rjust(3, '0') }} {{ 'a\tb'.expandtabs(4) }}
{{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.txt'.removesuffix('.txt') }} {{ 'a-b-c'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ 'abc'.partition('x') }}
{{ '{} {1}'.format(1, 2) }}
{{ '{} {}'.format(1, 'b') }} {{ '{0} {a} {b[0]} {c.d}'.format(1, a=2, b=[3], c={'d': 4}) }} {{ '{:>5}|{:<5}|{:^5}|{:05.1f}|{:,}|{:x}|{!r:>6}'.format('a', 'b', 'c', 2.25, 1234567, 255, 'q') }} {{ '{{}}'.format() }} {{ '{:{w}}'.format('x', w=4) }}|
{{ numbers.append(4) }}
{{ numbers.append }} {{ numbers.pop is defined }} {{ mapping.update is defined }} {{ mapping.pop }}
{{ mapping.update({'x': 1}) }}
{{ mapping.keys() }} {{ mapping.values() }} {{ empty_map.items() }} {{ mapping.keys() | list }} {{ keys.items() | list }} {{ people[0].items() | list }}
{% for k, v in people[0].items() %}{{ k }}={{ v }};{% endfor %}
{% for x in numbers %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.depth }}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }};{% endfor %}
{% for x in nothing %}a{% else %}none{% endfor %} {% for x in numbers if x > 1 %}{{ x }}{{ loop.length }}{% else %}-{% endfor %} {% for x in numbers if x > 9 %}{{ x }}{% else %}-{% endfor %}
{% for x in numbers %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% if x == 2 %}{% break %}{% endif %}{% endfor %}
{% for x in numbers %}{% continue %}{% else %}else{% endfor %} {% for x in numbers %}{% break %}{% else %}else{% endfor %} {% for x in numbers %}{{ x }}{% break %}{% else %}else{% endfor %}
{% for n in tree recursive %}{{ n.v }}{% if n.kids %}({{ loop(n.kids) }}){% endif %}{{ loop.depth }}{% endfor %}
{% for a, (b, c) in [(1, (2, 3)), (4, (5, 6))] %}{{ a }}{{ b }}{{ c }};{% endfor %} {% for (a, b) in nested[:2] %}{{ a }}{{ b }}{% endfor %}
{% for a, b in nested %}{{ a }}{{ b }}{% endfor %}
{% set x = 1 %}{% for i in numbers %}{% set x = x + i %}{{ x }},{% endfor %}{{ x }}
{% set ns = namespace(x=1, found=false) %}{% for i in numbers %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }} {{ ns.found }} {{ ns.zz is defined }} {{ ns }}
{% set a, b = 1, 2 %}{{ a }}{{ b }} {% set (c, d) = [3, 4] %}{{ c }}{{ d }} {% set e %}block {{ a }}{% endset %}{{ e }} {% set f | upper | trim %} abc {% endset %}[{{ f }}]
{% set ns = namespace() %}{% set ns.a, ns.b = 1, 2 %}{{ ns.a }}{{ ns.b }} {% set ns.c %}t{% endset %}{{ ns.c }}
{% set mapping.x = 1 %}
{% if zero %}a{% elif one %}b{% else %}c{% endif %} {% if nothing %}a{% elif empty_map %}b{% else %}c{% endif %}
{% macro m(a, b=2, c=a) %}[{{ a }},{{ b }},{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(a=5) }}{{ m() }} {{ m.name }} {{ m.arguments }} {{ m }}
{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }} {% macro n(a) %}{{ a }}{% endmacro %}{{ n(1, 2) }}
{% macro n(a) %}{{ a }}{% endmacro %}{{ n(b=2) }}
{% macro outer(t) %}<{{ t }}>{{ caller() }}</{{ t }}>{% endmacro %}{% call outer('p') %}body{% endcall %} {% macro list2(xs) %}{% for x in xs %}{{ caller(x) }}{% endfor %}{% endmacro %}{% call(x) list2(numbers) %}({{ x }}){% endcall %}
{% macro fact(n) %}{% if n <= 1 %}1{% else %}{{ n * (fact(n - 1) | int) }}{% endif %}{% endmacro %}{{ fact(10) }}
{% macro m() %}{{ later }}{% endmacro %}{% set later = 'seen' %}{{ m() }} {% for i in [1] %}{% set inner = i %}{% endfor %}{{ inner is defined }}
{% for i in [1] %}{{ text }}{% endfor %}{% set text = 'late' %}{{ text }}
{% if yes %}{% set q = 1 %}{% endif %}{{ q }} {% if no %}{% set text = 1 %}{% endif %}{{ text }} {% for i in [1, 2] %}{% if i == 2 %}{% set w = i %}{% endif %}{{ w is defined }}{% endfor %}
{% with a = 1, b = text %}{{ a }}{{ b }}{% set c = 2 %}{{ c }}{% endwith %}{{ a is defined }}{{ c is defined }} {% set a = 5 %}{% with a = 1, b = a %}{{ b }}{% endwith %}
{% filter upper %}abc {{ text }}{% endfilter %} {% filter replace('a', 'b') | trim %} aXa {% endfilter %}|
{% generation %}gen {{ text }}{% set inside = 1 %}{% endgeneration %}{{ inside is defined }} {% for m in messages %}{% generation %}{{ m.role }}{{ loop.index }}{% endgeneration %}{% endfor %}
{% raw %}{{ raw }} {% if %}{% endraw %} {# comment {{ x }} #}after {#- trim -#} x
{% block title %}in {{ text }}{% set hidden = 1 %}{% endblock %}{{ hidden is defined }} {% set top = 3 %}{% block other %}{{ top }}{% endblock %}
{% autoescape false %}{{ html }}{% endautoescape %} {% print text, one %}
{% include 'x' %}
{% import 'x' as y %}
{% extends 'x' %}
{% do 1 %}
{% unknown %}
{% if %}{% endif %}
{% for x in %}{% endfor %}
{{ }}
{{ text
{% if yes %}
{% endif %}
{% endfor %}
{{ 'unterminated }}
{{ text | nosuchfilter }}
{% if no %}{{ text | nosuchfilter }}{% endif %}ok {{ (text | nosuchfilter) if no else 'ok' }}
{% if no %}{% for x in numbers %}{{ x | nosuchfilter }}{% endfor %}{% endif %}ok
{{ text is nosuchtest }}
{{ raise_exception('no!') }}
{{ strftime_now('%d %B %Y, %H:%M:%S %a %b %j %y %I %p %A %-d %e %% %Z%z %f') }}
{{ html | e }} {{ html | escape | escape }} {{ html | forceescape }} {{ html | safe }} {{ (html | e) is escaped }} {{ html | safe ~ '<' }} {{ (html | safe) + '<' }} {{ '<' + (html | safe) }} {{ ['<' | safe] }}
{{ ('<%s>' | safe) % '<' }} {{ ('{}' | safe).format('<') }} {{ (', ' | safe).join(['<', '>' | safe]) }} {{ ('a<' | safe).upper() is escaped }} {{ ('<' | safe) | upper }} {{ ('<b>' | safe).replace('b', '<') }} {{ ('<' | safe) * 2 is escaped }}
{{ messages | tojson }} {{ tools[0] | tojson(indent=2) }} {{ tools | tojson(indent=4) }}
{{ mixed | tojson }} {{ mixed | tojson(indent=1) }} {{ unicode | tojson }} {{ unicode | tojson(ensure_ascii=true) }} {{ mapping | tojson(sort_keys=true) }} {{ mapping | tojson(separators=(',', ':')) }} {{ [] | tojson(indent=2) }} {{ {} | tojson }} {{ [[], {}] | tojson(indent=2) }} {{ '\x7f\x1f"\\/' | tojson }} {{ (1, 2) | tojson }} {{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }} {{ 1e20 | tojson }} {{ 'nan' | float | tojson }} {{ 'inf' | float | tojson }} {{ missing | tojson }}
{{ mapping.keys() | tojson }}
{{ {'a': missing} | tojson }}
{{ numbers | tojson(indent='--') }} {{ mapping | tojson(true) }} {{ html | tojson }} {{ {'b': 1, 'a': {'d': 1, 'c': 2}} | tojson(indent=2, sort_keys=true) }} {{ numbers | tojson(indent=0) }}
{{ numbers | sort }} {{ strings | sort }} {{ strings | sort(case_sensitive=true) }} {{ numbers | sort(reverse=true) }} {{ people | sort(attribute='age') | map(attribute='name') | list }} {{ people | sort(attribute='age,name') | map(attribute='name') | list }}
{{ mixed | sort }}
{{ numbers | min }} {{ numbers | max }} {{ strings | min }} {{ nothing | min }}| {{ people | max(attribute='age') }} {{ numbers | sum }} {{ people | sum(attribute='age') }} {{ nested | sum(start=[]) }} {{ strings | sum }}
{{ numbers | first }} {{ numbers | last }} {{ nothing | first }}| {{ text | first }} {{ text | last }} {{ mapping | first }} {{ mapping | last }} {{ missing | first }}|
{{ numbers | length }} {{ text | length }} {{ unicode | length }} {{ mapping | count }} {{ missing | length }} {{ one | length }}
{{ numbers | join(', ') }} {{ numbers | join }} {{ people | join('/', attribute='name') }} {{ [1, none, missing, 'a'] | join('-') }} {{ text | join('.') }} {{ mapping | join(',') }}
{{ numbers | reverse | list }} {{ text | reverse }} {{ unicode | reverse }} {{ mapping | reverse | list }} {{ one | reverse }}
{{ strings | unique | list }} {{ [1, 1.0, true, 'a', 'A'] | unique | list }} {{ strings | unique(case_sensitive=true) | list }} {{ people | unique(attribute='age') | map(attribute='name') | list }} {{ nested | unique | list }}
{{ numbers | batch(2) | list }} {{ numbers | batch(2, 'x') | list }} {{ [1, 2, 3, 4, 5] | slice(3) | list }} {{ [1, 2, 3, 4, 5] | slice(3, 'x') | list }} {{ numbers | slice(0) | list }}
{{ people | groupby('age') }} {% for g, xs in people | groupby('age') %}{{ g }}:{{ xs | map(attribute='name') | join(',') }};{% endfor %} {{ (people | groupby('home.town', default='x'))[0].grouper }} {{ (people | groupby('age'))[0].list | length }}
{{ mapping | dictsort }} {{ mapping | dictsort(true) }} {{ mapping | dictsort(false, 'value') }} {{ empty_map | dictsort }} {{ {'b': 1, 'a': 2} | dictsort(by='value', reverse=true) }} {{ mapping | items | list }} {{ missing | items | list }} {{ numbers | items | list }}
{{ people | map(attribute='name') | list }} {{ people | map(attribute='home.town') | list }} {{ people | map(attribute='home.town', default='?') | list }} {{ strings | map('upper') | list }} {{ strings | map('replace', 'a', 'z') | list }} {{ nested | map('first') | list }} {{ nested | map(attribute=0) | list }}
{{ people | map('nosuch') | list }}
{{ people | selectattr('home') | map(attribute='name') | list }} {{ people | selectattr('age', 'equalto', 30) | list | length }} {{ people | rejectattr('age', 'gt', 26) | map(attribute='name') | list }} {{ numbers | select('odd') | list }} {{ numbers | reject('divisibleby', 3) | list }} {{ mixed | select | list }} {{ mixed | select('string') | list }} {{ messages | selectattr('role', 'in', ['user']) | list | length }}
{% set g = numbers | select('odd') %}{{ g is iterable }}{{ 'yes' if g else 'no' }}{{ g | list }}{{ g | list }} {{ (numbers | select('gt', 5)) and 'truthy' }} {{ numbers | select('odd') | length }}
{{ 'a%sb' | format('x') }} {{ '%(a)s' | format(a=1) }} {{ '%s %s' | format(1) }}
{{ 42.55 | round }} {{ 42.55 | round(1) }} {{ 42.55 | round(1, 'floor') }} {{ 42.55 | round(1, 'ceil') }} {{ 2.5 | round }} {{ 3.5 | round }} {{ 7 | round }} {{ 1234 | round(-2) }} {{ 1250.0 | round(-2) }} {{ -0.4 | round }} {{ 2.675 | round(2) }} {{ 1e300 | round(2) }} {{ 5 | round(0, 'ceil') }}
{{ '42' | int }} {{ '42.7' | int }} {{ 'x' | int }} {{ 'x' | int(7) }} {{ '0x1f' | int(base=16) }} {{ '101' | int(0, 2) }} {{ 42.9 | int }} {{ -42.9 | int }} {{ none | int }} {{ number_text | int }} {{ float_text | int }} {{ true | int }} {{ '1_000' | int }} {{ [] | int(3) }} {{ 'inf' | int }} {{ '0x1f' | int }}
{{ missing | int }}
{{ '1.5' | float }} {{ 'x' | float }} {{ 'x' | float(2.5) }} {{ 3 | float }} {{ 'inf' | float }} {{ '-inf' | float }} {{ 'nan' | float }} {{ float_text | float }} {{ none | float }} {{ '1e400' | float }} {{ '١٢' | int }} {{ '.5' | float }} {{ '5.' | float }}
{{ -3 | abs }} {{ (-3) | abs }} {{ -2.5 | abs }} {{ (-2.5) | abs }} {{ 'x' | abs }}
{{ text | center(20) }}| {{ 'ab' | center(5) }}| {{ text | trim }} {{ padded | trim }}| {{ 'xxaxx' | trim('x') }} {{ none | trim }} {{ 12 | trim }}
{{ text | indent }} {{ lines | indent(2) }} {{ lines | indent(2, true) }} {{ lines | indent(2, true, true) }} {{ lines | indent('> ') }} {{ '' | indent(2, true) }}| {{ 'a\n' | indent }}|
{{ 1 | indent }}
{{ words | wordcount }} {{ unicode | wordcount }} {{ words | title }} {{ 'foo-bar (baz) [qux] it\'s x_y' | title }} {{ 'ßa ǆb' | title }} {{ text | capitalize }} {{ none | upper }}
{{ words | truncate(9) }} {{ words | truncate(9, true) }} {{ words | truncate(9, leeway=0) }} {{ text | truncate(11) }} {{ text | truncate(5, true, '..', 0) }} {{ 'a b c d e f g h' | truncate(8, false, '') }}
{{ text | truncate(2) }}
{{ 'The quick-brown fox jumps over the extraordinarily lazy dog -- well, twice--maybe' | wordwrap(10) }}
{{ 'aaaaaaaaaaaaaaaaaaaaaaaa b-c-d supercalifragilistic-expialidocious' | wordwrap(7) }} {{ 'aaaaaaaaaaaaaaa bb' | wordwrap(5, false) }} {{ words | wordwrap(6, wrapstring='|') }} {{ 'well-known e-mail' | wordwrap(6, break_on_hyphens=false) }}
{{ 'a b/c?d=é&x' | urlencode }} {{ {'a b': 1, 'c': 'x/y'} | urlencode }} {{ [('a', 1)] | urlencode }} {{ 5 | urlencode }} {{ {'class': 'a', 'id': 1, 'x': none, 'y': '<'} | xmlattr }} {{ {'a': 1} | xmlattr(false) }} {{ {'a b': 1} | xmlattr }}
{{ '<p>a &amp; <b>b</b>  c</p><!-- x --> &lt;' | striptags }} {{ 1500 | filesizeformat }} {{ 1 | filesizeformat }} {{ 999 | filesizeformat }} {{ 2500000 | filesizeformat(true) }} {{ 123456789012 | filesizeformat }} {{ numbers | pprint }} {{ mapping | pprint }}
{{ missing | default('d') }} {{ missing | d('d') }} {{ '' | default('d') }}| {{ '' | default('d', true) }} {{ none | default('d') }} {{ none_value | default('d', boolean=true) }} {{ mapping.zz | default('d') }} {{ missing | default }}|
{{ mapping | attr('b') }}| {{ mapping | attr('keys') is callable }} {{ ns | attr('x') }}
{{ text | string }} {{ 1 | string + 'a' }} {{ mixed | string }} {{ text | list }} {{ mapping | list }} {{ missing | list }} {{ one | list }}
{{ 1 is odd }} {{ 2 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 'a' is lower }} {{ 'A' is upper }} {{ none is none }} {{ 1 is number }} {{ true is number }} {{ 1.5 is float }} {{ true is integer }} {{ 1 is integer }} {{ true is boolean }} {{ true is true }} {{ 1 is true }} {{ false is false }}
{{ 'x' is string }} {{ mapping is mapping }} {{ numbers is sequence }} {{ mapping is sequence }} {{ text is iterable }} {{ one is iterable }} {{ range is callable }} {{ 1 is sameas 1 }} {{ none is sameas none }} {{ true is sameas 1 }} {{ 1 is in [1] }} {{ 'upper' is filter }} {{ 'zz' is filter }} {{ 'odd' is test }} {{ 1 is eq 1 }} {{ 1 is ne(2) }} {{ 3 is gt 2 }} {{ 2 is le 2 }} {{ missing is sequence }} {{ missing is callable }} {{ missing is iterable }} {{ mapping.keys() is sequence }}
{{ 1 is not odd }} {{ not 1 is odd }} {{ text is not none and one is odd }} {{ text is string is string }}
{{ range(5) }} {{ range(5) | list }} {{ range(2, 8, 3) | list }} {{ range(5, 0, -2) | list }} {{ range(5)[1:3] }} {{ range(5)[-1] }} {{ 3 in range(5) }} {{ range(0) | list }} {{ range(3) | sum }} {{ range(5).stop }} {{ range(10)[::2] }}
{{ range(100001) }}
{{ range(1.5) }}
{{ dict(a=1, b=2) }} {{ dict({'a': 1}, b=2) }} {{ dict([('a', 1)]) }} {{ dict(mapping, a=9) }} {% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set _ = c.reset() %}{{ c.current }} {% set j = joiner('|') %}{{ j() }}{{ j() }}{{ j() }}
{{ foo(*[1, 2]) }}
{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*[1, 2]) }} {{ m(*[1], **{'b': 3}) }} {{ m(1, a=2) }}
{{ text() }}
{{ missing() }}
{{ missing + 1 }}
{{ missing == missing }} {{ missing == none }} {{ missing != 1 }} {{ [missing] }} {{ missing ~ 'x' }}
{{ missing < 1 }}
{{ none + 1 }}
{{ 1 / 0 }}
{{ 1 // 0 }} {{ 1 % 0 }}
{{ 1.5 // 0 }}
{{ 'a' < 1 }}
{{ none < none }}
{{ mapping < mapping }}
{{ numbers['x'] }}| {{ text['upper']() }} {{ numbers[1.5] }}| {{ mapping[[1]] }}| {{ text[0] }} {{ text[99] }}| {{ numbers.0 }} {{ numbers.index(2) }} {{ numbers.count(1) }} {{ numbers.copy() }} {{ (1, 2).index(2) }}
{{ text.__class__ }}| {{ text.__class__.__mro__ }}
{{ [].__class__ }}| {{ text._private }}|
{{ one.real }} {{ half.is_integer() }} {{ whole.is_integer() }} {{ one.nope }}|
{{ big * 2 }}
{{ 10 ** 3 }} {{ 2 ** -1 }} {{ 2 ** 0.5 }} {{ 0 ** 0 }} {{ 5.5 % 2 }} {{ -5.5 % 2 }} {{ 5.5 // 2 }} {{ -5.5 // 2 }} {{ 1e308 * 10 }} {{ true + true }} {{ -true }} {{ +none }}
{{ 7.0 // 2 }} {{ 7 % -3 }} {{ -7 // -2 }} {{ 0.1 + 0.2 }} {{ 1 - 0.9 }} {{ 1e16 + 1 }} {{ 123456789.123456789 }} {{ 5e-324 }} {{ 1.7976931348623157e308 }}
{{ 'é' 'ß' }} {{ 'ß'.upper() }} {{ 'ΑΣ ΑΣΑ Σ'.lower() }} {{ 'ŉ'.title() }} {{ 'ﬁx'.capitalize() }} {{ 'İ'.lower() | length }} {{ 'ß'.casefold() }} {{ 'ǆ'.title() }} {{ 'ᾳ'.upper() }} {{ 'ᾳ'.title() }}
{% for c in '猫é' %}{{ c }},{% endfor %} {{ unicode | list }} {{ unicode[0] }}{{ unicode[-1] }} {{ unicode.find('猫') }} {{ unicode.center(20, '猫') }}
{{ '%c%c' % (65, 'b') }} {{ '%r' % 'a' }} {{ '%a' % 'é' }} {{ '%+d % d %#x %#o' % (1, 2, 255, 8) }} {{ '%.3s|%10.4f|%-10s|%*d' % ('abcdef', 3.14159, 'x', 5, 42) }} {{ '%i' % 3.9 }} {{ '%s' % none }} {{ '%s' % missing }} {{ '%s' % [1, 2] }} {{ '%d' % true }}
{{ '%d' % 'x' }}
{{ '%s %s' % 'x' }}
{{ '%s' % (1, 2) }}
{{ '%y' % 1 }}
{{ '{:d}'.format('x') }}
{{ '{:.2f} {:e} {:g} {:%} {:+d} {: d} {:#x} {:#b} {:_} {:b} {:c}'.format(1.005, 12345.678, 0.00001, 0.256, 5, 5, 255, 5, 1234567, 5, 65) }} {{ '{:.3}'.format('abcdef') }} {{ '{:*^9}'.format('mid') }} {{ '{:08.3f}|{:+.1e}|{:10}|{:<10}|{:010,}'.format(3.14159, 12345.678, 42, 42, 1234) }} {{ '{:.3} {:.10} {}'.format(3.0, 1234567.0, 0.1) }} {{ '{!s} {!r}'.format('a', 'a') }} {{ '{:5}|{:<5}|{:>5}'.format(true, none ~ '', 1.5) }}
{{ '{:5}'.format(none) }}
{{ '{a}'.format(b=1) }}
{{ '{'.format() }}
{{ '{0.__class__}'.format(1) }}|
{{ {'a': 1}['a'] }}{{ {'a': {'b': 2}}.a.b }}{{ [[1, 2], [3]][0][1] }}{{ ('a', 'b')[1] }}{{ (1) }}{{ ((1, 2)) }}{{ [1, 2,] }}{{ {'a': 1,} }}{{ (1,) }}
{{ 1 if yes else 2 if no else 3 }} {{ 1 if no else 2 if no else 3 }} {{ (1 if yes) is defined }} {{ (1 if no) is defined }}
{{ 'a' if 'x' in 'xyz' and not no else 'b' }} {{ not yes or yes }} {{ not (yes or yes) }} {{ yes and no or 'z' }} {{ -one + 2 }} {{ - one | abs }} {{ 2 * -3 }} {{ one == 1 and seven > 3 }}
{{ messages | map(attribute='role') | unique | join(',') }} {{ messages | selectattr('role', '==', 'user') | map(attribute='content') | list | last }}
{% set first = messages[0] %}{% if first['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set sys = first['content'] %}{% else %}{% set loop_messages = messages %}{% endif %}{% for m in loop_messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}odd{% endif %}{{ m.role }}{% endfor %}{{ sys }}
{% for m in messages %}{% if loop.first and m.role != 'system' %}x{% endif %}{{ loop.previtem.role if not loop.first }}{{ loop.nextitem.role if loop.nextitem }}{% endfor %}
{% macro json_to_type(spec) %}{% if spec.type == 'object' %}{% for k, v in spec.properties.items() %}{{ k }}: {{ json_to_type(v) }}{{ ', ' if not loop.last }}{% endfor %}{% else %}{{ spec.type }}{% endif %}{% endmacro %}{{ json_to_type(tools[0].function.parameters) }}
{% set ns = namespace(last=-1) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}{{ ns.last }} {{ messages[::-1][0].role }} {{ messages | length - 1 }} {{ (messages | length) - 1 }} {{ messages[:-1] | length }}
{% for x in messages | rejectattr('role', 'equalto', 'system') %}{{ loop.index }}/{{ loop.length }}{{ x.role }} {% endfor %} {% for x in mapping %}{{ x }}{% endfor %} {% for x in mapping.items() | sort %}{{ x[0] }}{% endfor %} {% for x in 5 %}{% endfor %}
{% for x in none_value %}a{% endfor %}
{% for x in missing %}a{% else %}b{% endfor %}
{% set loop = 1 %}{{ loop }}
{% for x in numbers %}{% set loop = 1 %}{% endfor %}
{% for loop in numbers %}{% endfor %}
{% for x in numbers %}{% for y in numbers %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %} {% for x in numbers %}{% set outer = loop %}{% for y in [1] %}{{ outer.index }}{% endfor %}{% endfor %}
{{ loop is defined }} {{ loop }} {% for x in numbers %}{{ loop }}{% endfor %}
{% break %}
{% macro m() %}{% break %}{% endmacro %}
{% for x in numbers %}{% macro m() %}{% continue %}{% endmacro %}{% endfor %}
{% macro m(a, a) %}{% endmacro %}
{% macro m(a=1, b) %}{% endmacro %}
{{ dict(a=1, a=2) }}
{% set true = 1 %}
{% set 1 = 2 %}
{% set a.b.c = 2 %}
{% for x.y in numbers %}{% endfor %}
{{ [1, 2 }}
{{ (1, 2] }}
{{ 1 2 }}
{{ text. }}
{{ text.1.2 }}|
{{ a b }}
{{ 'x' | }}
{{ text is }}
{{ @ }}
{{ a ! b }}
{{ text $ }}
{{ 1 = 2 }}
{{ x = 1 }}
{{ missing[1:2] }}
{{ mapping[1:2] }}
{{ numbers[::0] }}
{{ numbers['a':] }}
{{ '\u12' }}
{{ '\xZZ' }}
{# never closed
{% raw %} never closed
{{ '}}' }} {{ '%}' }} {% set x = '%}' %}{{ x }} {{ {'a': {'b': 1}} }} {{ {'a':{'b':1}}}}
{{ caller is defined }} {{ kwargs is defined }}
{% call(a, b=2) text %}{% endcall %}
{% macro f() %}{{ caller }}{% endmacro %}{{ f() }}|
{% macro f(caller=none) %}{{ caller }}{% endmacro %}{{ f() }} {{ f(caller=1) }}
{% macro f(x) %}{{ x }}{% endmacro %}{{ f(x=1, y=2) }}
{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}{{ ns['a'] }}{{ ns.items }}|{{ ns == ns }}{{ ns is mapping }}
{{ namespace(1) }}
{{ cycler() }}
{{ text | upper | lower | title | trim | replace('H', 'J') | length }}
{{ 'a' is in 'abc' }} {{ ['a'] | select('in', 'abc') | list }} {{ people | selectattr('name', 'in', ['Ann', 'Cy']) | map(attribute='age') | sum }} {{ people | map(attribute='age') | select('equalto', 30) | list | count }}
{{ nested | map('length') | list }} {{ nested | map('join', '-') | list }} {{ nested | map('sum') | max }} {{ mapping.items() | map('first') | list }} {{ mapping | dictsort | map('last') | list }} {{ strings | map('upper') | map('lower') | sort | join }}
""".strip("\n")

# Templates of several lines, with ==== between them.
BLOCKS = r"""
   {% if yes %}   
  a
   {% endif %}   
  b {%- if yes -%}  c  {%- endif +%}
d {%+ if yes %}e{% endif %}
{{- ' x ' -}}   y
  {#- c -#}  z
  {%- set x = 1 -%}
  {{ x }}
====
a
{%- for m in messages -%}
  {{ m.role }}
{%- endfor -%}
b
====
{% for m in messages %}
    {{- '<|' + m['role'] + '|>\n' }}
    {%- if m.content is string %}
        {{- m.content | trim }}
    {%- else %}
        {%- for part in m.content %}{{ part.text if part.type == 'text' else '<image>' }}{% endfor %}
    {%- endif %}
{% endfor %}
{%- if add_generation_prompt %}<|assistant|>{% endif %}
{{ 'ends here' }}

====
  {% if yes %}{# c #}
  x
{# alone #}
 {# not alone #} y
	{%- raw -%}
   {{ x }}
  {%- endraw %}  
 z {% raw %}
 {% if %}
 {% endraw %}
 end {% set a = 1 %}

 {{ a }}

 {% endif %}


====
{%- set text = 'new\
line' -%}
[{{ text }}]
{{ numbers
   | join(
   ', ') }}
{% set x = [
  1,
  2,
] %}
{{ x }}
====
{{ one }}
{{ 1 +
 'a' }}
====
{% for x in numbers +%}
 {{ x }}
{%+ endfor %}
{%- for x in numbers %}

{{- x -}}

{%- endfor %}
 	 {%- if yes +%}
a
 {%+ endif -%}

 b
====
{% macro m(x) -%}
   {{ x }}
{%- endmacro -%}
{{ m(1) }}
  {{ m(2) }}
{% call m(3) %}{% endcall %}
{% filter upper %}
  a
{% endfilter %}
{% set b %}
  c
{% endset %}
{{ b }}
""".strip("\n")


class Grammar:
    """Draws templates over the variables: mostly well formed, often of the wrong types."""

    NAMES = sorted(VARIABLES) + ["missing", "x", "item"]
    ATTRIBUTES = ["role", "content", "name", "age", "home", "town", "a", "b", "items", "keys", "zz", "function", "parameters", "v", "kids"]
    STRINGS = ["''", "'a'", "'ab'", "' '", "','", "'user'", "'role'", "'猫é'", "'%s'", "'%d|%5.1f'", "'{}-{}'", "'{0:>4}'", "'<b>'", "'A b-c'", "'12'", "'-3.5'", "'\\n'", '"it\'s"']
    NUMBERS = ["0", "1", "2", "-1", "3", "10", "0.5", "-2.5", "1e3", "7.0"]
    METHODS = ["upper()", "lower()", "strip()", "title()", "split()", "split(',')", "split(' ', 1)", "rsplit('a', 1)", "splitlines()", "startswith('a')",
               "endswith('d')", "replace('a', 'bb')", "find('l')", "count('a')", "isdigit()", "isupper()", "items()", "keys()", "values()", "get('a')", "get('zz', 3)",
               "index('a')", "index(1)", "join(['x', 'y'])", "join(strings)", "lstrip('abH')", "rstrip()", "capitalize()", "swapcase()", "zfill(4)", "center(7, '.')",
               "format(1, 2)", "partition('o')", "rpartition(' ')", "removeprefix('He')", "copy()", "append(1)", "pop()", "title", "isspace()", "istitle()"]
    FILTERS = ["length", "upper", "lower", "trim", "title", "capitalize", "list", "first", "last", "join(',')", "join", "sort", "sort(reverse=true)", "unique|list",
               "reverse|list", "reverse", "sum", "min", "max", "int", "float", "abs", "round", "round(1)", "string", "tojson", "tojson(indent=1)", "default('d')", "default('d', true)",
               "e", "safe", "replace('a', 'A')", "map('upper')|list", "map(attribute='name')|list", "map('length')|join(' ')", "select|list", "select('string')|list",
               "reject('number')|list", "selectattr('name')|list|length", "rejectattr('age', 'gt', 26)|list", "batch(2)|list", "slice(2)|list", "items|list", "dictsort",
               "groupby('age')", "count", "indent", "indent(2, true)", "center(9)", "wordcount", "truncate(8)", "format(1)", "striptags", "urlencode", "attr('name')", "d(0)",
               "wordwrap(5)", "pprint", "forceescape", "filesizeformat", "xmlattr"]
    TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "sequence", "iterable", "callable", "odd", "even", "divisibleby 2",
             "lower", "upper", "true", "false", "in numbers", "in 'abc'", "eq 1", "ne 'a'", "gt 1", "sameas none", "escaped", "filter"]
    OPERATORS = ["+", "-", "*", "/", "//", "%", "~", "~", "+", "==", "!=", "<", ">=", "in", "not in", "and", "or", "**"]

    def __init__(self, seed):
        self.random = random.Random(seed)

    def pick(self, items):
        return self.random.choice(items)

    def atom(self):
        kind = self.random.randrange(10)
        if kind < 5:
            return self.pick(self.NAMES)
        if kind < 7:
            return self.pick(self.STRINGS)
        return self.pick(self.NUMBERS) if kind < 9 else self.pick(["true", "false", "none", "[]", "{}", "()"])

    def expression(self, depth):
        if depth == 0:
            return self.atom()
        kind = self.random.randrange(16)
        inner = lambda: self.expression(depth - 1)  # noqa: E731
        if kind < 2:
            return self.atom()
        if kind < 5:
            return f"{inner()} {self.pick(self.OPERATORS)} {inner()}"
        if kind < 8:
            return f"{inner()}|{self.pick(self.FILTERS)}"
        if kind == 8:
            return f"{self.pick(self.NAMES)}.{self.pick(self.METHODS)}"
        if kind == 9:
            return f"{inner()} is {self.pick(['', 'not '])}{self.pick(self.TESTS)}"
        if kind == 10:
            return f"{self.pick(self.NAMES)}.{self.pick(self.ATTRIBUTES)}"
        if kind == 11:
            return f"{self.pick(self.NAMES)}[{inner()}]"
        if kind == 12:
            bounds = [self.pick(["", "0", "1", "-1", "2", "-2", "5"]) for _ in range(2)]
            return f"{self.pick(self.NAMES)}[{bounds[0]}:{bounds[1]}{self.pick(['', ':', ':2', ':-1'])}]"
        if kind == 13:
            return f"({inner()})"
        if kind == 14:
            return self.pick(["[{0}, {1}]", "({0}, {1})", "{{{0}: {1}}}", "{{'k': {0}}}", "({0},)"]).format(inner(), inner())
        return self.pick(["{0} if {1}", "{0} if {1} else {2}", "not {0}", "-{0}"]).format(inner(), inner(), inner())

    def statement(self, depth):
        inner = lambda: self.body(depth - 1)  # noqa: E731
        value = lambda: self.expression(self.random.randrange(3))  # noqa: E731
        target = lambda: self.pick(["x", "item", "y", "text"])  # noqa: E731
        kind = self.random.randrange(14)
        dash = self.pick(["", "", "-", "+"])
        if depth == 0 or kind < 3:
            return "{{" + self.pick(["", "-"]) + f" {value()} " + self.pick(["", "-"]) + "}}"
        if kind < 5:
            return f"{{%{dash} if {value()} %}}{inner()}{{% else %}}{inner()}{{% endif {self.pick(['', '-'])}%}}"
        if kind < 8:
            loop = self.pick(["", "", "{{ loop.index }}", "{{ loop.last }}", "{{ loop.length }}", "{% if loop.index > 2 %}{% break %}{% endif %}", "{% continue %}",
                              "{{ loop.changed(item) }}", "{{ loop.nextitem }}"])
            choice = self.pick(["", "", f" if {value()}"])
            return f"{{% for {target()} in {value()}{choice} {dash}%}}{loop}{inner()}{self.pick(['', '{% else %}E'])}{{% endfor %}}"
        if kind < 10:
            return f"{{%{dash} set {target()} = {value()} %}}"
        if kind == 10:
            return f"{{% set {target()} %}}{inner()}{{% endset %}}"
        if kind == 11:
            return f"{{% with {target()} = {value()} %}}{inner()}{{% endwith %}}"
        if kind == 12:
            return f"{{% macro x(item, y={value()}) %}}{inner()}{{% endmacro %}}{{{{ x({value()}) }}}}"
        return f"{{% filter {self.pick(['upper', 'trim', 'length', 'replace(1, 2)'])} %}}{inner()}{{% endfilter %}}"

    def body(self, depth):
        between = ["", "", " ", "\n", "\n ", "t "]
        return "".join(self.pick(between) + self.statement(depth) for _ in range(self.random.randrange(1, 3))) + self.pick(between)


def snippets(expressions, templates, seed):
    """All templates, without repetition."""
    lines = SNIPPETS.split("\n") + BLOCKS.split("\n====\n")
    for line in SNIPPETS.split("\n"):
        parts = re.findall(r"\{\{.*?\}\}(?=[^}]|$)", line)
        if "{%" not in line and len(parts) > 1 and render(line) is None:
            lines += parts
    grammar = Grammar(seed)
    lines += ["{{ " + grammar.expression(1 + index % 3) + " }}" for index in range(expressions)]
    lines += [grammar.body(1 + index % 3) for index in range(templates)]
    return list(dict.fromkeys(lines))


def make(expressions=2600, templates=900, seed=SEED):
    """The lines of the file; how many snippets of each kind are drawn, and from which seed."""
    made = [json.dumps({"variables": VARIABLES}, ensure_ascii=False)]
    for source in snippets(expressions, templates, seed):
        text = render(source)
        if text is not False:
            made.append(json.dumps([source, text], ensure_ascii=False))
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--expressions", type=int, default=2600, metavar="N", help="how many to draw")
    parser.add_argument("--templates", type=int, default=900, metavar="N", help="how many to draw")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    lines = make(arguments.expressions, arguments.templates, arguments.seed)
    arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{arguments.output}: {len(lines) - 1} snippets")


if __name__ == "__main__":
    main()

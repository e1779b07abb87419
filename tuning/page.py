"""The HTML of a report. Jinja2 with autoescape: names of cases and folders come from outside."""

from collections.abc import Mapping

from jinja2 import Environment

STYLE = """
:root { color-scheme: light }
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1f24; background: #fff;
  margin: 0 auto; max-width: 62rem; padding: 1rem }
h1 { font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #d8dee4; padding-bottom: .2rem }
h2, p, li, figcaption, summary { overflow-wrap: anywhere }
.headline { font-size: 1.05rem; border-left: .3rem solid #d1495b; padding: .2rem .8rem; margin: 1rem 0 }
nav { font-size: .9rem; columns: 16rem; margin: 1rem 0 }
nav a { display: block; color: #1c5d99; padding: .15rem 0; break-inside: avoid }
.wide { overflow-x: auto; margin: .6rem 0 1.2rem }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .5rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #eaeef2 }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff;
  white-space: normal; overflow-wrap: anywhere; min-width: 10.5rem; max-width: 13rem }
tr.best td { font-weight: 600 }
.caption, .note, figcaption { color: #57606a; font-size: .9rem }
.caption { margin: 1rem 0 -.4rem }
img { display: block; width: 100%; height: auto }
.wide img { min-width: 40rem }
figure { margin: .6rem 0 }
ul { padding-left: 1.2rem }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: .2rem 1rem; font-size: .9rem }
dt { color: #57606a } dd { margin: 0; overflow-wrap: anywhere }
pre { font-size: .75rem; overflow-x: auto; background: #f6f8fa; padding: .6rem }
.virtual { background: #fff8c5; border: 1px solid #d4a72c; padding: .5rem .8rem }
"""

BODY = """
{% macro show(tables) %}{% for table in tables %}
<p class="caption">{{ table.caption }}</p>
<div class="wide"><table>
<thead><tr>{% for cell in table.header %}<th>{{ cell }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in table.rows %}<tr{% if loop.index0 == table.best %} class="best"{% endif %}>
{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</tbody>
</table></div>
{% endfor %}{% endmacro %}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
<h1>{{ title }}</h1>
{% if virtual %}
<p class="virtual">These cases are virtual: images computed from body models, not from patients.</p>
{% endif %}
<p class="headline">{{ headline }}</p>
<dl>{% for name, value in facts %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
<nav aria-label="contents">
<a href="#shows">What it shows</a>
<a href="#methods">The ladder of methods</a>
<a href="#comparisons">Comparisons</a>
{% if others %}<a href="#others">Beside the paper</a>{% endif %}
{% for picture in pictures %}<a href="#{{ picture.name }}">{{ picture.title }}</a>{% endfor %}
<a href="#settings">Settings</a>
</nav>

<h2 id="shows">What it shows</h2>
<ul>{% for sentence in findings %}<li>{{ sentence }}</li>{% endfor %}</ul>

<h2 id="methods">The ladder of methods</h2>
<p class="note">Nobody's own cases were used to predict them. Mean shape: of the training subjects. NN: mean annotation
of the three nearest patches. RF: regression forest. CNN(syn): trained on renderings alone; +offset and +affine:
corrected by what it misses the training subjects by; CNN(study): trained on the study alone; CNN(ft): on renderings,
then fine-tuned on the study.</p>
{{ show(tables) }}
<details><summary>Other units, every landmark of every method, hidden landmarks</summary>
{{ show(more_tables) }}
</details>

<h2 id="comparisons">Comparisons</h2>
<p class="note">By subject: a subject's mean error over its cases, landmarks and seeds counts once. Difference: first
minus second, negative where the first is better.</p>
{{ show(comparisons) }}

{% if others %}
<h2 id="others">Beside the paper</h2>
{{ show(others) }}
{% endif %}

{% for picture in pictures %}
<h2 id="{{ picture.name }}">{{ picture.title }}</h2>
<figure><div class="wide"><img alt="{{ picture.title }}" src="{{ picture.source }}"></div>
<figcaption>{{ picture.caption }}</figcaption></figure>
{% endfor %}

<h2 id="settings">Settings</h2>
<details><summary>Everything needed to repeat this report</summary>
<pre>{{ settings }}</pre></details>
<p class="note">For research; not a medical device.</p>
</body>
</html>
"""


def page_text(parts: Mapping[str, object]) -> str:
    """The page with `parts` filled in, each named as in BODY; every text is escaped."""
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(BODY.lstrip())
    return template.render(style=STYLE, **parts).lstrip()

"""The HTML of a report. Jinja2 with autoescape: names of cases and folders come from outside."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light }
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1f24; background: #fff;
  margin: 0 auto; max-width: 62rem; padding: 1rem }
h1 { font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #d8dee4; padding-bottom: .2rem }
.wide { overflow-x: auto; margin: .6rem 0 }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #eaeef2 }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff }
tr.best td { font-weight: 600 }
caption { text-align: left; color: #57606a; padding-bottom: .3rem }
img { display: block; width: 100%; height: auto }
.wide img { min-width: 36rem }
.note, figcaption { color: #57606a; font-size: .9rem }
figure { margin: .6rem 0 }
ul { padding-left: 1.2rem }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .2rem 1rem; font-size: .9rem }
dt { color: #57606a } dd { margin: 0; overflow-wrap: anywhere }
pre { font-size: .75rem; overflow-x: auto; background: #f6f8fa; padding: .6rem }
.virtual { background: #fff8c5; border: 1px solid #d4a72c; padding: .5rem .8rem }
</style>
</head>
<body>
<h1>{{ title }}</h1>
{% if virtual %}
<p class="virtual">These cases are virtual: images computed from body models, not from patients.</p>
{% endif %}
<dl>{% for name, value in facts %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>

<h2>What it shows</h2>
<ul>{% for sentence in findings %}<li>{{ sentence }}</li>{% endfor %}</ul>

<h2>The ladder of methods</h2>
<figure><div class="wide"><img alt="Mean error of every method by landmark" src="{{ bars }}"></div>
<figcaption>Bars: mean error over cases; whiskers: one standard deviation. Nobody's own cases were used to predict them.
NN: mean annotation of the three nearest patches. CNN(syn): trained on renderings alone; CNN(study): on the study
alone; CNN(ft): on renderings, then fine-tuned on the study.</figcaption></figure>
{% for table in tables %}<div class="wide"><table>
<caption>{{ table.caption }}</caption>
<thead><tr>{% for cell in table.header %}<th>{{ cell }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in table.rows %}<tr{% if row.best %} class="best"{% endif %}>
{% for cell in row.cells %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</tbody>
</table></div>{% endfor %}

<h2>Both domains side by side</h2>
<figure><div class="wide"><img alt="Renderings above silhouettes of the study" src="{{ domains }}"></div>
<figcaption>Above: renderings the networks were trained on; below: silhouettes of the study. Circles are the annotated
landmarks. What looks different here is what fine-tuning has to make up for.</figcaption></figure>

{% for picture in pictures %}<h2>{{ picture.title }}</h2>
<figure><div class="wide"><img alt="{{ picture.title }}" src="{{ picture.source }}"></div>
<figcaption>{{ picture.caption }}</figcaption></figure>{% endfor %}

<h2>Settings</h2>
<details><summary>Everything needed to repeat this report</summary>
<pre>{{ settings }}</pre></details>
<p class="note">For research; not a medical device.</p>
</body>
</html>
"""

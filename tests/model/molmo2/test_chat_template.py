"""Chat templates as they are, and as programs that never end or fill the memory."""

import pytest

from molmo_point.model.molmo2.chat_template import chat_template

MESSAGES = [{"role": "user", "content": [{"type": "text", "text": "the red cube"}, {"type": "image"}]}]
COUNTED = (
    "{% set n = namespace(value=0) %}{% for message in messages %}{% if message['content'] is not string %}"
    "{% for c in message['content'] %}{% if c['type'] == 'image' or 'image' in c %}{% set n.value = n.value + 1 %}"
    "{% endif %}{% endfor %}{% endif %}{% endfor %}{% for i in range(n.value) %}{{ 'Image ' ~ (i + 1) ~ '<|image|>' }}"
    "{% endfor %}{% for message in messages %}{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('alternate') }}{% endif %}{{ '<s>' + message.role.lower() + message.content[0].text | trim }}"
    "{% endfor %}{% if add_generation_prompt %}{{ bos_token }}{% endif %}"
)
GROWING = "{% set ns = namespace(x='aaaaaaaaaa') %}{% for i in range(40) %}%s{% endfor %}{{ ns.x }}"


def rendered(source: str) -> str:
    return chat_template(source)(messages=MESSAGES, tools=None, add_generation_prompt=True, bos_token="<b>")


def test_a_template_as_families_write_them() -> None:
    assert rendered(COUNTED) == "Image 1<|image|><s>userthe red cube<b>"


def test_texts_are_joined_and_replaced() -> None:
    joined = "{{ messages[0].content | selectattr('type', 'equalto', 'text') | map(attribute='text') | join(', ') }}"
    assert rendered(joined) == "the red cube"
    assert rendered("{{ ['a', 'b', 1] | join('-') | replace('-', '+') }}") == "a+b+1"


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(99999) %}x{% endfor %}",
        "{% for i in range(900) %}{% for j in range(900) %}{% endfor %}{% endfor %}",
        "{{ 'a' * 10**9 }}", "{{ '%1000000000d' % 5 }}", "{{ '{:>1000000000}'.format(1) }}", "{{ 'a'.ljust(1000000000) }}",
        "{{ 'a' | center(1000000000) }}", "{{ lipsum(n=1000000) }}", "{{ messages }}", "{{ messages.__class__.__mro__ }}",
        GROWING.replace("%s", "{% set ns.x = ns.x ~ ns.x %}"), GROWING.replace("%s", "{% set ns.x = ns.x + ns.x %}"),
        GROWING.replace("%s", "{% set ns.x = [ns.x, ns.x] %}"),
        GROWING.replace("%s", "{% set ns.x = ns.x | replace('a', 'aa') %}"),
        GROWING.replace("%s", "{% set ns.x = range(900) | join(ns.x) %}"),
        GROWING.replace("%s", "{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}"),
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}",
        "{% for m in messages recursive %}{{ loop(messages) }}{{ loop(messages) }}{% endfor %}",
        "{% include 'x' %}", "x" * 10**6, "{% for i in range(1000) %}" + "x" * 15_000 + "{% endfor %}", "{{" + "(" * 5000,
    ],
)  # fmt: skip
def test_a_template_without_end_is_refused(source: str) -> None:
    with pytest.raises(Exception) as caught:
        rendered(source)
    assert not isinstance(caught.value, MemoryError)

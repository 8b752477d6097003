"""The words of the diagrams in English and Korean. The embedded font has their characters: a test checks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ...spec.stem import ConvSpec

Language = Literal["en", "ko"]


@dataclass(frozen=True)
class Words:
    """Every word and phrase; `{}` is where a number goes."""

    language: Language
    conv: str
    max_pool: str
    mean_pool: str
    global_pool: str
    fc: str
    image: str
    size: str  # above the column of output sizes
    layers: str
    more: str  # that many blocks left out
    bn: str
    relu: str
    sigmoid: str
    tanh: str
    dropout: str
    drop_path: str
    identity: str
    padding: str
    projection: str
    shortcut: str
    addition: str
    gate: str
    scale: str
    squeeze_max: str
    groups: str
    paths: str
    concatenate: str
    sum: str
    block: str  # of stage {} (conv{}_x), index
    channels: str
    dotted: str


ENGLISH = Words(
    language="en",
    conv="conv",
    max_pool="max pool",
    mean_pool="avg pool",
    global_pool="global avg pool",
    fc="fc",
    image="image",
    size="output",
    layers="{} layers",
    more="{} more such blocks",
    bn="BN",
    relu="ReLU",
    sigmoid="sigmoid",
    tanh="tanh",
    dropout="dropout {}",
    drop_path="drop path {}",
    identity="identity",
    padding="zero padding",
    projection="projection",
    shortcut="shortcut",
    addition="addition",
    gate="gate",
    scale="scale by channel",
    squeeze_max="global max pool",
    groups="{} groups",
    paths="{} paths in all",
    concatenate="concatenate",
    sum="sum of the paths",
    block="conv{}_x, block {}",
    channels="{} channels",
    dotted="dotted: the shortcut changes the shape",
)
KOREAN = Words(
    language="ko",
    conv="합성곱",
    max_pool="최대 풀링",
    mean_pool="평균 풀링",
    global_pool="전역 평균 풀링",
    fc="완전연결",
    image="입력 영상",
    size="출력",
    layers="{}층",
    more="같은 블록 {}개 더",
    bn="배치 정규화",
    relu="ReLU",
    sigmoid="시그모이드",
    tanh="tanh",
    dropout="드롭아웃 {}",
    drop_path="확률적 깊이 {}",
    identity="항등",
    padding="0 채우기",
    projection="투영",
    shortcut="지름길",
    addition="덧셈",
    gate="게이트",
    scale="채널별 곱",
    squeeze_max="전역 최대 풀링",
    groups="{}개 그룹",
    paths="모두 {}개 경로",
    concatenate="이어 붙이기",
    sum="경로의 합",
    block="conv{}_x, 블록 {}",
    channels="{}채널",
    dotted="점선: 지름길이 모양을 바꾼다",
)
WORDS: Mapping[str, Words] = MappingProxyType({"en": ENGLISH, "ko": KOREAN})


def conv_text(words: Words, conv: ConvSpec) -> str:
    """`3×3 conv, 64, /2` of a convolution."""
    text = f"{conv.kernel}×{conv.kernel} {words.conv}, {conv.out_channels}"
    return text + (f", /{conv.stride}" if conv.stride > 1 else "")


def characters() -> str:
    """Every character that a diagram may hold: the words, and what names, numbers and formulas are made of."""
    words = "".join(value for w in WORDS.values() for value in vars(w).values())
    ascii_printable = "".join(map(chr, range(32, 127)))
    return "".join(sorted(set(words + ascii_printable + "×→−…·σ±≤≥")))

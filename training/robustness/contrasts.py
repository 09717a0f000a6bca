"""Pairs of short reviews that differ by a negation or a turn, written for this project.

A model that reads single words answers both of a pair alike. ``phenomenon`` names what turns the tone.
"""

from dataclasses import dataclass

from training.data import Row


@dataclass(frozen=True, slots=True)
class Contrast:
    """``left`` and ``right`` differ little and have opposite tones."""

    phenomenon: str
    left: Row
    right: Row


_NEGATION = """
质量很好|质量一点也不好
我很喜欢这件衣服|我并不喜欢这件衣服
物流很快|物流一点都不快
这个手机值得买|这个手机不值得买
酒店的房间很干净|酒店的房间根本不干净
电池很耐用|电池很不耐用
味道我很满意|味道我很不满意
会推荐给朋友|绝不会推荐给朋友
用了一年从来没有坏过|用了一年没有一个月不坏
没有任何问题|没有哪天不出问题
客服没有让我失望|客服真是让我失望
一点异味都没有|一打开全是异味
不会后悔买它|后悔买它
没有色差，和图片一样|有色差，和图片不一样
声音不吵，晚上睡得好|声音很吵，晚上睡不好
The quality is good.|The quality is not good.
I would buy it again.|I would never buy it again.
The screen is bright and the battery lasts.|The screen isn't bright and the battery doesn't last.
It works.|It does not work.
I recommend this book.|I cannot recommend this book.
The staff were helpful.|The staff were anything but helpful.
I have no complaints.|I have nothing but complaints.
It never let me down.|It let me down.
Not a single problem in two years.|Not a single week without a problem.
You won't regret it.|You will regret it.
There is nothing wrong with it.|There is something wrong with it.
The sound is not bad at all.|The sound is bad.
Worth every penny.|Not worth a penny.
It doesn't leak any more.|It leaks all over.
I was not disappointed.|I was disappointed.
"""

_TURN = """
虽然包装有点旧，但是东西非常好用|虽然包装很漂亮，但是东西非常难用
物流慢了点，不过质量没得说，很满意|物流挺快的，不过质量太差了，很失望
本来担心是假货，结果用起来特别好|本来以为是好货，结果用起来特别差
价格贵，可是真的值|价格便宜，可是真的不值
房间小，但干净舒服，下次还住这里|房间大，但又脏又吵，下次不会住这里
刚开始不习惯，后来越用越喜欢|刚开始还喜欢，后来越用越生气
除了颜色深一点，其他都很完美|除了颜色还行，其他都很糟糕
朋友都说不好，我用了却觉得很棒|朋友都说很棒，我用了却觉得不好
外观普通，性能却让人惊喜|外观惊艳，性能却让人失望
开头有些闷，越往后越精彩|开头很精彩，越往后越无聊
差评都是乱说的，这款真的好|好评都是刷的，这款真的差
以为会坏，没想到三年了还很好用|以为会很耐用，没想到三天就坏了
The box was dented, but the camera inside is perfect.|The box was perfect, but the camera inside is broken.
I expected junk; it turned out to be wonderful.|I expected something wonderful; it turned out to be junk.
It is expensive, yet worth every cent.|It is cheap, yet not worth a cent.
Despite the bad reviews, I love it.|Despite the good reviews, I hate it.
Slow start, but the story becomes gripping.|Gripping start, but the story becomes dull.
It looks plain, however it works brilliantly.|It looks brilliant, however it hardly works.
Apart from the colour, everything is great.|Apart from the colour, everything is terrible.
At first I disliked it, now I use it every day with joy.|At first I enjoyed it, now it lies in a drawer, useless.
I wanted to hate this film and ended up loving it.|I wanted to love this film and ended up hating it.
Delivery took weeks, still a fantastic product.|Delivery took a day, still a dreadful product.
The manual is awful, but the machine is excellent.|The manual is excellent, but the machine is awful.
Other brands failed me; this one is reliable.|Other brands are reliable; this one failed me.
"""


def _read(block: str, phenomenon: str) -> list[Contrast]:
    contrasts = []
    for line in block.strip().splitlines():
        good, bad = line.split("|")
        language = "en" if good.isascii() else "zh"
        left = Row(good, "positive", "review", language, "contrast")
        contrasts.append(Contrast(phenomenon, left, Row(bad, "negative", "review", language, "contrast")))
    return contrasts


CONTRASTS: tuple[Contrast, ...] = (*_read(_NEGATION, "negation"), *_read(_TURN, "turn words"))

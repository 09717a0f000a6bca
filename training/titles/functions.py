"""Labelling functions for the tone of a product title, in Chinese and English.

Each one votes for a tone or abstains. A disclosed condition (defect, clearance, second-hand) outweighs promotion: a title
that says both is negative, since the buyer must see the condition. No vote means neutral. Stars and ratings of the product
are never looked at.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class LabellingFunction:
    """One rule: a pattern, and the tone that it votes for."""

    name: str
    tone: str
    pattern: re.Pattern[str]

    def votes(self, title: str) -> bool:
        """Whether the rule fires on the title."""
        return self.pattern.search(title) is not None


def _rule(name: str, tone: str, *patterns: str) -> LabellingFunction:
    return LabellingFunction(name, tone, re.compile("|".join(patterns), re.IGNORECASE))


FUNCTIONS: tuple[LabellingFunction, ...] = (
    _rule(
        "defect_zh",
        "negative",
        "瑕疵",
        "残次",
        "次品",
        "破损",
        "破損",
        "划痕",
        "刮痕",
        "刮傷",
        "有污渍",
        "有汙",
        "掉漆",
        "缺件",
        "缺配件",
        "不良品",
        "故障",
        "配件机",
        "尾货有",
        "微瑕",
        "小毛病",
        "染色",
    ),
    _rule(
        "used_zh",
        "negative",
        "二手",
        "闲置",
        "閒置",
        "翻新",
        "福利品",
        "九成新",
        "9成新",
        "八成新",
        "8成新",
        "七成新",
        "95新",
        "99新",
        "拆机",
        "拆封",
        "展示机",
        "展示機",
        "样机",
        "样品处理",
        "退货处理",
        "退貨",
        "中古",
    ),
    _rule(
        "clearance_zh",
        "negative",
        "清仓",
        "清倉",
        "清货",
        "清貨",
        "出清",
        "甩卖",
        "甩賣",
        "甩货",
        "尾货",
        "尾貨",
        "断码",
        "斷碼",
        "断货处理",
        "撤柜",
        "撤櫃",
        "倒闭",
        "处理价",
        "处理品",
        "临期",
        "臨期",
        "即期",
        "库存处理",
        "零碼",
        "賠售",
    ),
    _rule(
        "defect_en",
        "negative",
        r"\b(?:defect(?:ive|s)?|damaged|scratch(?:ed|es)|cracked|dented|stain(?:ed|s)|faulty|broken|as[- ]is|for parts)\b",
        r"\b(?:not working|missing (?:parts?|box|lid|accessories)|imperfect|irregular|factory seconds?|b[- ]grade)\b",
    ),
    _rule(
        "used_en",
        "negative",
        r"\b(?:used|second[- ]hand|pre[- ]?owned|refurbished|renewed|open[- ]box|ex[- ]display|customer returns?)\b",
    ),
    _rule(
        "clearance_en",
        "negative",
        r"\b(?:clearance|closeout|close[- ]out|overstock|liquidation|end of line|short[- ]dated|near expiry|final sale)\b",
    ),
    _rule(
        "hype_zh",
        "positive",
        "爆款",
        "爆卖",
        "热卖",
        "熱賣",
        "热销",
        "熱銷",
        "疯抢",
        "必备神器",
        "神器",
        "超值",
        "推荐",
        "推薦",
        "人气",
        "人氣",
        "网红",
        "網紅",
        "明星同款",
        "同款",
        "百搭",
        "超好",
        "超美",
        "巨好",
        "绝美",
        "惊艳",
        "种草",
        "火爆",
        "大牌",
        "高颜值",
        "闭眼入",
        "必入",
        "必买",
        "必買",
        "不容错过",
        "秒杀",
        "特惠",
        "特价",
        "特價",
        "优惠",
        "優惠",
        "买一送一",
        "買一送一",
        "抢购",
        "搶購",
        "福利价",
        "显瘦",
        "顯瘦",
        "女神",
        "畅销",
        "暢銷",
        "限时",
        "限時",
        "下殺",
        "折扣",
        "超低价",
        "现货秒发",
        "好评",
        "好評",
    ),
    _rule(
        "superlative_zh",
        "positive",
        "最好",
        "最佳",
        "最美",
        "最強",
        "最强",
        "第一",
        "顶级",
        "頂級",
        "极致",
        "極致",
        "史上",
        "全网最",
        "唯一",
        "完美",
    ),
    _rule(
        "hype_en",
        "positive",
        r"\b(?:best[- ]?sell(?:er|ing)|hot sale|hot selling|must[- ]have|top rated|amazing|stunning|gorgeous|perfect|super)\b",
        r"\b(?:ultimate|premium|luxury|luxurious|new arrivals?|limited edition|special offer|bargain|free gift|great value)\b",
        r"\b(?:best|trending|viral|sexy|fashion(?:able)?|popular|world'?s|no\.? ?1|deals?|discount|promotion|buy 1 get)\b",
    ),
    _rule("shout", "positive", r"[!！❗🔥⭐★]{1,}"),
)
"""Order does not matter; names are stable, since coverage is reported by name."""


def tone_of(title: str) -> str:
    """Negative when any condition is disclosed, else positive when anything promotes, else neutral."""
    tones = {function.tone for function in FUNCTIONS if function.votes(title)}
    if "negative" in tones:
        return "negative"
    return "positive" if "positive" in tones else "neutral"


@dataclass(frozen=True)
class CoverageReport:
    """How often each function fires and how often functions of different tones meet, as shares of all titles."""

    titles: int
    coverage: dict[str, float]
    covered: float
    conflict: float
    tones: dict[str, float]


def report(titles: Iterable[str]) -> CoverageReport:
    """Coverage and conflict of the labelling functions over titles."""
    fired: Counter[str] = Counter()
    tones: Counter[str] = Counter()
    total = covered = conflict = 0
    for title in titles:
        voters = [function for function in FUNCTIONS if function.votes(title)]
        total += 1
        covered += bool(voters)
        conflict += len({function.tone for function in voters}) > 1
        fired.update(function.name for function in voters)
        tones[tone_of(title)] += 1
    size = max(1, total)
    return CoverageReport(
        titles=total,
        coverage={function.name: fired[function.name] / size for function in FUNCTIONS},
        covered=covered / size,
        conflict=conflict / size,
        tones={tone: tones[tone] / size for tone in ("negative", "neutral", "positive")},
    )

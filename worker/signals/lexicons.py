"""Words that no sentiment model looks for: claims the law forbids, disclosed defects, what a complaint is about.

Each lexicon is one precompiled expression over lower-case text. They read the *normalised* text, in which full-width letters
are narrow, zero-width characters are gone and traditional characters are simplified, so ``Ｎｏ．１``, a split ``最好`` and
銷量第一 are found. Words that only Taiwan has (整新机, 宅配) stand beside the others.

The lists favour precision: a false ``superlative_claim`` takes a seller's advertisement away. Hence 最 only before words of
praise (最新, 最大 and 最近 are facts), 第一 only where it ranks (第一次 counts), and ``best before`` is a date.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from worker.signals.denials import chinese_flaws, chinese_goods, english_adjectives, english_nouns

_SUPERLATIVES_ZH = (
    r"最(?:好|佳|优|强|美|棒|高级|高端|顶级|先进|专业|权威|安全|舒适|实惠|便宜|低价|划算|热销|畅销|受欢迎|正宗|完美|牛|火爆|具性价比)"
    r"|第一(?:品牌|名牌|销量|选择|好评|口碑)"
    r"|(?:全国|全网|全球|世界|中国|亚洲|国内|行业|业界|同行|销量|口碑|品质|质量|性价比|排名|人气)(?:排名|销量)?第一"
    r"|(?:国家|世界|宇宙|全球|殿堂|史诗)级(?!别)"
    r"|顶级|极品(?!飞车)|至尊|独一无二|绝无仅有|史无前例|前所未有|天下无双|无与伦比|唯一正品|王牌|冠军品牌|全网最|全球最|史上最|世界领先|遥遥领先"
)
# Word borders count ASCII letters alone, here and below: an English word glued to a Chinese one still ends where it ends.
_SUPERLATIVES_EN = (
    r"(?a:\bbest\b(?![ -]?(?:before|by|man|regards|wishes|friends?|bud(?:dy|dies))\b)|\b(?:no|nr)\.? ?1\b|\bnumber ?(?:1|one)\b|#1\b"
    r"|\bworld(?:'?s)?[ -]?(?:finest|leading|class|first)\b"
    r"|\b(?:cheapest|greatest|finest|unbeatable|unrivall?ed|unparalleled|peerless|top[ -]rated|lowest price)\b)"
)
SUPERLATIVE = re.compile(f"{_SUPERLATIVES_ZH}|{_SUPERLATIVES_EN}")
"""Claims that the Advertising Law of China (article 9, 3) and most marketplaces' rules forbid."""

# New goods say what they are not, and 完美无瑕 praises. What is denied is taken out before the words of condition are looked
# for, so a list of denials may hold words that are none of those: `no chips or scratches`.
_FLAWS_ZH = "瑕疵|微瑕|损坏|故障|划痕|刮痕|擦痕|磕碰|掉漆|裂痕|裂纹|破损|污渍|磨损"
_GOODS_ZH = "二手|翻新|官翻|整新[机品]|福利品|尾货|样品|展示[机品]|配件机"
_FLAWS_EN = "dents?|scratch(?:es)?|scuffs?|chips?|cracks?|defects?|faults?|flaws?|stains?|marks?|damage|wear"
_STATES_EN = (
    "used|worn|pre-?owned|second[ -]?hand|refurbished|renewed|open[ -]box|opened|repaired|returned|for parts|as[ -]is|dented|scratched"
    "|cracked|damaged|faulty|defective|display model|factory seconds"
)
DENIED = re.compile(
    rf"(?:[非无没未不防抗零]|不是|没有|拒绝)(?:任何)?(?:{chinese_flaws(_FLAWS_ZH)}|{chinese_goods(_GOODS_ZH)}"
    r"|[五六七八九几5-9]成新|9[0-9]新|旧款转让|闲置|拆封|维修过)"
    rf"|(?a:\b(?:no|not|never|without|zero|neither) (?:any )?(?:{english_nouns(_FLAWS_EN)}|{english_adjectives(_STATES_EN)}))"
)
"""A condition that the goods do not have."""

CONDITION = re.compile(
    r"二手|[五六七八九几5-9]成新|旧款转让|闲置|翻新|官翻|整新[机品]|福利品|瑕疵|尾货|微瑕|样品|展示[机品]|配件机|损坏|故障(?!诊断|检测|码|灯)"
    r"|划痕|磕碰|掉漆|裂痕|破损|拆封|维修过|有修(?![身复饰护颜])"
    # 95新 is a grade of wear. 满199新人 is a price and a new customer, 99新款 a year.
    r"|(?<!\d)9[0-9]新(?![款品人客版年春秋]|用户|会员)"
    r"|(?a:(?<!be )\bused\b(?! (?:for|as|in|with|to|by|on|outdoors|indoors)\b)"
    r"|\b(?:pre-?owned|second[ -]?hand|refurbished|renewed|open[ -]box|for parts|not working|as[ -]is|dent(?:s|ed)?|faulty"
    r"|defect(?:s|ive)?|display model|factory seconds)\b(?![ -]free\b)"
    r"|(?<!anti)(?<!anti[ -])\bscratch(?:es|ed)?\b(?![ -]?(?:resist|proof|remov|free|guard|protect))"
    r"|\bcrack(?:s|ed)?\b(?! (?:pepper|wheat|black|resist|heel))|\bdamaged\b(?! (?:hair|skin|nail))"
    r"|(?<!be )\bworn\b(?! (?:as|with|by|on|over|under)\b))"
)
"""A seller says that the goods are used, repaired or faulty, unless it is :data:`DENIED`."""

ASPECT = re.compile(
    r"(?P<safety>爆炸|起火|[着著]火|冒烟|漏电|触电|烫伤|割伤|划伤|受伤|过敏|中毒|拉肚子|呕吐|有毒|甲醛|发霉|过期|变质|异物|虫子|刺鼻"
    r"|(?a:\b(?:explod\w+|caught fire|on fire|smok(?:e|ing)\b|burn(?:t|ed|s)?\b|electric shock|injur\w+|hurt\b|allerg\w+|rash\b|poison\w*"
    r"|toxic|mou?ldy?\b|expired|unsafe|dangerous|hazard\w*)))"
    r"|(?P<authenticity>假货|假的|冒牌|山寨|高仿|仿品|盗版|非正品|不是正品|正品吗"
    r"|(?a:\b(?:fakes?\b|counterfeits?\b|knock-?off|replica|not (?:genuine|authentic|original)|imitation)))"
    r"|(?P<quality>质量|品质|做工|材质|材料|面料|坏了|断了|裂开|开线|掉色|褪色|起球|变形|松动|不耐用|不结实|失灵|卡顿|异味|掉毛|漏水|漏气|漏油|粗糙|次品|不能用"
    r"|(?a:\b(?:quality|broke\w*|broken|cheaply made|flimsy|fell apart|fall(?:s|ing)? apart|stopp?(?:ed|s) working|does(?: not|n'?t) work"
    r"|did(?: not|n'?t) work|defect\w*|tore\b|torn\b|rips?\b|ripped|faded|leak\w*|cracked|junk\b|poorly made|wore out)))"
    r"|(?P<delivery>物流|快递|宅配|发货|出货|到货|送货|配送|派送|包裹|包装|外盒|少发|漏发|发错|丢件|没收到|未收到|还没到|延误|压坏"
    r"|(?a:\b(?:deliver\w*|shipp\w+|shipment|courier|package\b|packag(?:ed|ing)|parcel|arriv\w+|late\b|lost in|never (?:came|received)"
    r"|missing)))"
    r"|(?P<service>客服|服务|售后|态度|退货|退款|退费|退换|换货|保修|不理人|不回复|敷衍|推诿|踢皮球|商家|卖家|店家"
    r"|(?a:\b(?:customer (?:service|support|care)|service\b|support\b|seller\b|rude\b|refunds?\b|refunded|return(?:s|ed)?\b|warranty"
    r"|no (?:response|reply)|unhelpful|ignored)))"
    r"|(?P<price>价格|价钱|太贵|好贵|贵了|降价|涨价|差价|保价|性价比|不值|智商税|坑钱|乱收费|虚标原价"
    r"|(?a:\b(?:pric\w+|expensive|overpriced|rip-?off|waste of money|not worth|money back|cost(?:s|ly)?\b)))"
    r"|(?P<description>描述|不符|图片|实物|色差|尺码|尺寸|偏大|偏小|大小|货不对板|虚假宣传|宣传|照片|介绍"
    r"|(?a:\b(?:describ\w+|description|pictur\w+|photos?\b|advertis\w+|mislead\w+|wrong (?:size|colou?r|item|product)|siz(?:e|ing)\b"
    r"|too (?:small|big|large|tight)|not as|looks? nothing like)))"
)
"""What a complaint is about; the name of the group is the aspect's code."""


class TitleFindings(NamedTuple):
    """What the lexicons find in a title."""

    claims: bool
    """It makes a superlative claim."""
    disclosed: bool
    """It discloses a condition."""


RECURRING = 8_192
"""Texts whose findings are remembered: those of a busy minute, as many as the prepare stage remembers."""
RECURRING_CHARACTERS = 256
"""Texts that come again are short, and what is remembered of them stays within some megabytes."""


def title_findings(text: str) -> TitleFindings:
    """Look a title up in both lexicons: 10 to 30 us, or 0.2 us for a short title that recurs."""
    return _recurring_title(text) if len(text) <= RECURRING_CHARACTERS else _title_findings(text)


def aspects(text: str) -> frozenset[str]:
    """Codes of the aspects that a text touches: some 40 us, or 0.2 us for a short text that recurs."""
    return _recurring(text) if len(text) <= RECURRING_CHARACTERS else _aspects(text)


def _title_findings(text: str) -> TitleFindings:
    lowered = text.lower()
    told = DENIED.sub(" ", lowered)
    return TitleFindings(SUPERLATIVE.search(lowered) is not None, CONDITION.search(told) is not None)


def _aspects(text: str) -> frozenset[str]:
    return frozenset(match.lastgroup for match in ASPECT.finditer(text.lower()) if match.lastgroup)


_recurring_title = lru_cache(maxsize=RECURRING)(_title_findings)
_recurring = lru_cache(maxsize=RECURRING)(_aspects)

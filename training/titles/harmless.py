"""Phrases in which a telling word tells nothing: a product's use, a name, a negated condition.

"Scratch remover", "Super Glue" and "not refurbished" disclose and promote nothing. They are blanked before the labelling
functions look, so that each function stays one plain list of words.
"""

import re

from worker.signals.denials import chinese_flaws, chinese_goods, english_adjectives, english_nouns

_FLAW_ZH = (
    "(?:划痕|刮痕|刮傷|裂缝|裂縫|污渍|汙漬|污垢|瑕疵|破损|破損|故障|掉漆|痘印|磨损|磨損|染色|磕碰|擦痕)"
)
_AGAINST_ZH = "(?:防|抗|去|除|祛|遮|修补|修補|修复|修復|修|补|補|掩盖|断头|耐)"
_CURE_ZH = "(?:修复|修復|修补|修補|补漆|去除|清除|清洁|清潔|保护|保護|遮盖|诊断|診斷|检测|檢測|排查|文件恢复|维修手册|螺丝取出)"
_CONDITION_ZH = "(?:二手|翻新|样机|展示机|退货|退貨|尾货|尾貨|临期|清仓|清倉|拆封|使用痕迹)"
_FLAW_EN = r"(?:scratch(?:es|ed)?|stain(?:s|ed)?|crack(?:s|ed)?|dent(?:s|ed)?|damaged?|broken|fault|defects?|water damage)"
_DENIED_FLAW_EN = "scratch(?:es)?|stains?|cracks?|dents?|damages?|faults?|defects?|water damage|imperfections?|marks?|chips?|flaws?|blemish(?:es)?"
_DENIED_STATE_EN = (
    "scratched|stained|cracked|dented|damaged|broken|chipped|used|refurbished|renewed|second[- ]hand"
)
_DENIED_EN = f"{english_nouns(_DENIED_FLAW_EN)}|{english_adjectives(_DENIED_STATE_EN)}"
_CURE_EN = (
    r"(?:remov\w+|repair\w*|resist\w+|proof|filler|guard|cover|protect\w+|extractor|cleaner|treatment|reader|diagnostic|code"
    r"|detector|eraser|and odou?r|soap)"
)
_MENDED_EN = "(?:skin|hair|nails?|lips|heels|tyres?|tires?|leaves|walls?|wood|screws?|bolts?|cables?|files?)"

HARMLESS = re.compile(
    "|".join(
        (
            # what the product is for
            rf"{_AGAINST_ZH}\s*(?:刮|{_FLAW_ZH})+",
            rf"{_FLAW_ZH}[^，,。]{{0,2}}{_CURE_ZH}",
            "(?:补漆|修补|修复)[^，,。]{0,4}" + _FLAW_ZH,
            r"二手[车車房]\s*(?:鉴定|评估|交易|买卖|合同|检测|鑑價)",
            "(?:扎染|植物染色|染色剂|染发)",
            rf"\b{_FLAW_EN}[- ](?:bolt |screw )?{_CURE_EN}\b",
            rf"\b(?:anti|fill|remove|repair|hide)[- ]{_FLAW_EN}\b",
            r"\bfor (?:\w+ )?(?:blemish(?:es)?|flaws?|scars?)(?: and (?:blemish(?:es)?|flaws?|scars?))?\b",
            rf"\bfor {_FLAW_EN} {_MENDED_EN}\b",
            r"\bused (?:by|for|in|to|with|as|oil|look|car)\b",
            r"\bfor parts? (?:and|&) (?:accessories|tools)|\bclearance (?:lights?|lamps?|markers?|gauge|sale management)\b",
            r"\bdamage-free\b|\brefurbish(?:ing|ment)\b|\bas is shown\b",
            r"\b(?:discount|deal) (?:calculator|tracker|codes? book)\b",
            # designs
            r"\b(?:irregular|broken|distressed|cracked|stained)[- ](?:hem\w*|plaid|in|in style|stripes?|glass|effect|look|check|leather look)\b",
            r"\b(?:cracked|broken) (?:\w+ )?(?:pepper|wheat|rice|corn)\b|\b(?:tie-dye )?stained (?:effect|glass)\b",
            "中古(?:风|風|款|系列|世纪|世紀)|磨损做旧|(?:男女|情侣|情侶|父子|母女|亲子)同款",
            # names and grades
            r"\bsuper (?:amoled|glue|mario|nintendo|wings|crunch|bowl|hero(?:es)?|saver)\b|\bsuper ?(?:man|girl|heroes)\b",
            r"\bultimate (?:frisbee|ears|guide|spider)|\bamazing (?:spider|grace)|\bbest (?:friends?|before|man|western)\b",
            r"\bperfect (?:diary|circle|binding|bound)|\bperfect-circle\b|\bpremium (?:unleaded|fuel|bond)|\bpopular (?:science|mechanics)",
            r"\bsony\b.*\bpremium\b|\bno\.? ?1 (?:pencils?|size|washers?|alkaline)\b|\bdamaged goods\b",
            "完美日记|第一(?:次|本|册|課|课|步|代|阶段)|的?唯一(?: |，)|超级飞侠|我的唯一|第一季|神仙水|福音[战戰]士|不停[产產]|不[易会會]?掉[色漆]",
            # conditions that are denied
            rf"(?:未|绝非|並非|并非|不是|非|无|無|没有|沒有|拒绝|零)\s*(?:任何)?(?:{chinese_goods(_CONDITION_ZH)}|{chinese_flaws(_FLAW_ZH)})",
            "(?:支持|可|接受|七天|7天)[^，,。]{0,6}(?:退换?货|退換?貨)",
            rf"\b(?:not?|neither|without|never|free (?:of|from)|zero) (?:\w+ )?(?:{_DENIED_EN})",
        )
    ),
    re.IGNORECASE,
)


def telling_part(title: str) -> str:
    """The title with every harmless phrase replaced by one blank."""
    return HARMLESS.sub(" ", title)

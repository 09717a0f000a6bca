"""Labelling functions for the tone of a product title, in Chinese and English.

Each one votes for a tone or abstains. A disclosed condition (defect, clearance, second-hand) outweighs promotion: a title
that says both is negative, since the buyer must see the condition. No vote means neutral. Stars and ratings of the product
are never looked at. ``RUBRIC.md`` says what the tones mean; what the functions score against it is in ``scores.py``.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from training.titles.harmless import telling_part
from worker.classify.answers import LABELS


@dataclass(frozen=True)
class LabellingFunction:
    """One rule: a pattern, and the tone that it votes for."""

    name: str
    tone: str
    pattern: re.Pattern[str]

    def votes(self, title: str) -> bool:
        """Whether the rule fires on what the title tells."""
        return self.pattern.search(telling_part(title)) is not None


def _chinese(name: str, tone: str, words: str, *patterns: str) -> LabellingFunction:
    """A rule of words (separated by blanks, taken literally) and patterns; Chinese has no word borders to ask for."""
    return LabellingFunction(name, tone, re.compile("|".join([*map(re.escape, words.split()), *patterns])))


def _english(name: str, tone: str, *patterns: str) -> LabellingFunction:
    """A rule of patterns that begin and end at word borders."""
    return LabellingFunction(name, tone, re.compile(rf"\b(?:{'|'.join(patterns)})\b", re.IGNORECASE))


FUNCTIONS: tuple[LabellingFunction, ...] = (
    _chinese(
        "defect_zh",
        "negative",
        """瑕疵 残次 次品 次果 二等品 破损 破損 破碎 划痕 刮痕 刮傷 刮花 刮擦 擦痕 蹭伤 磕碰 有裂 开裂 開裂 破裂
        有污渍 有汙 小污渍 微脏 掉漆 掉色 色差 发黄 發黃 发霉 發霉 有霉 受潮 部分老化 部分干裂 门封老化 生锈 有鏽 有锈 缺件 缺配件 少件
        不良品 故障 配件机 报废 尾货有 微瑕 小毛病 盒损 盒損 盒破 外包装破 外盒破 壓壞 压坏 壓傷 压伤 折损 折損 撕痕 抓痕
        磨损 磨損 印歪 崩瓷 毛刺 不佳 漏光 拉链坏 拉鍊壞 主板坏 需维修 待修 返修 有坏点 介意勿拍 介意慎拍""",
        "缺了?[一二两兩三四几幾1-9]?[颗顆块塊个個件支把]|少了?[一二两兩三四几幾1-9][颗顆块塊支把]|少约|少約|约少|缺(?:充电|電|盖|蓋|说明|包装|盒)|无(?:外盒|包装|盒)|無(?:外盒|包裝|盒)",
        "(?:碎|断|斷|坏|壞|弯|彎|破)(?:了|一[格个個根块]|两|兩|个|個)",
    ),
    _chinese(
        "used_zh",
        "negative",
        """二手 闲置 閒置 转让 轉讓 翻新 整新 福利品 九成新 9成新 八成新 8成新 七成新 7成新 95新 98新 99新 拆机 拆車 拆车 拆封
        展示机 展示機 展示品 展品 样机 样品 樣品 样板间 样衣 退货 退貨 使用痕迹 使用痕跡 试色 试用过 穿过两 穿过一 穿过几 用过一 用过两 用过几 仅用过""",
        "(?:^|[ 【])中古(?=[ 】])|中古(?:品|相机|相機|乐器|吉他|手表|手錶|车|車)",
    ),
    _chinese(
        "clearance_zh",
        "negative",
        """清仓 清倉 清货 清貨 清库存 清庫存 出清 甩卖 甩賣 甩货 甩貨 尾货 尾貨 尾单 尾單 余货 餘貨 断码 斷碼 断货处理 断货型号
        撤柜 撤櫃 撤场 倒闭 处理价 處理價 处理品 处理款 处理苗 临期 臨期 即期 库存处理 库存积压 库存旧 库存老 零碼 零码 賠售 亏本
        停产余货 停产清 停產 换包装 老款清 码数不全 论斤""",
        r"(?:^|[ ，,])处理(?:$|[ ，,])|(?:便宜|低价|低價)(?:出|处理|賣|卖)",
    ),
    _english(
        "defect_en",
        "negative",
        r"defect(?:ive|s)?|damaged?|scratch(?:ed|es)?|crack(?:ed|s)?|dent(?:ed|s)?|stain(?:ed|s)?|faulty|fault|broken|as[- ]is",
        r"chipp?ed|chips? on|torn (?:covers?|box|bag|pages?|packaging|wrapping|outer)|tears? in|crushed|creased|bumped|bent|tarnished|rust(?:y|ed)?|mould|fungus|worn (?!by|once|twice|style|look)|blemished",
        r"for parts|not working|for repair|untested|needs? (?:repair|replac\w+)|repaired|imperfect|irregular seconds|irregulars|slight irregularity|flaw(?:ed|s)?|off-colour",
        r"(?:missing|incomplete|lacking) ?(?:parts?|box|lid|accessories|pieces?|cable)?|(?:box|parts?|pieces?|guard|cards?) missing",
        r"factory seconds?|seconds|second grade|b[- ](?:grade|stock)|grade[- ]b|misaligned|no (?:box|packaging|manual|original box)",
        r"without (?:box|packaging)|(?:scuff|claw|kerb|remainder|small|glue) (?:marks?|damage)",
    ),
    _english(
        "used_en",
        "negative",
        r"used|second[- ]hand|pre[- ]?(?:owned|loved)|refurbished|reconditioned|renewed|open(?:ed)?[- ](?:box|sample)|unwanted",
        r"ex[- ](?:display|demo|rental|library)|display (?:unit|item|piece|model)|floor (?:model|sample)|customer returns?|returned",
        r"signs of (?:use|wear)|worn (?:once|twice|by)|swatched|one (?:previous )?owner|salvaged?|sample shoes?|ml[ -]*tester|tester (?:perfume|without|unit)",
    ),
    _english(
        "clearance_en",
        "negative",
        r"clearance|closeout|clos(?:e|ing)[- ](?:out|down)|overstock|old stock|liquidation|end of (?:the )?line|short[- ]dated",
        r"near[- ](?:expiry|date)|past best[- ]before|final sale|to clear|job lot|odd sizes|last sizes|sizes incomplete|sell[- ]off",
        r"(?:export )?surplus|left[- ]?overs?|leftover stock|discontinued|remaindered|priced to go|expires? this",
    ),
    _chinese(
        "hype_zh",
        "positive",
        """爆款 爆卖 爆賣 热卖 熱賣 热销 熱銷 疯抢 瘋搶 神器 神笔 超值 推荐 推薦 激推 安利 人气 人氣 网红 網紅 明星 同款 百搭 超好
        超美 超神 超狂 巨好 绝美 絕美 绝绝子 太绝 绝了 惊艳 驚豔 种草 火爆 爆火 火遍 大牌 高颜值 颜值 顏值 天花板 闭眼 必入 必买
        必買 必备 必備 必收 必囤 必抢 必搶 首选 首選 不容错过 错过不再 后悔 秒杀 秒殺 秒变 秒變 抢购 搶購 半价 半價 特惠 特价 特價 优惠
        優惠 买一送 買一送 福利价 显瘦 顯瘦 显白 顯白 显高 顯高 女神 仙女 仙气 畅销 暢銷 限时 限時 限量 手慢无 下殺 直降 折扣 超低价
        最低价 全网最低 现货秒发 好评 好評 回头客 回购 回購 福音 救星 狂欢 狂喜 停不下来 好吃到 好看到 美哭 炸裂 爆棚 爆表 拉满 满分
        滿分 神仙 震撼 颠覆 治愈 療癒 幸福滋味 幸福感 高级感 高級感 出片 氛围感 抢着 搶著 入口即化 性价比 超实惠 实惠 家人们 姐妹们 冲鸭 神奇 奇迹
        爱上 愛上 心动 心動 豪车 贵妇 高档 高檔 优质 優質 美味 都说好 都夸 变美""",
        "买[一二三1-9]?送|買[一二三1-9]?送|爆[卖賣][0-9万萬]",
    ),
    _chinese(
        "superlative_zh",
        "positive",
        "最好 最佳 最美 最強 最强 最爱 第一 顶级 頂級 极致 極致 史上 全网 唯一 完美 之王",
    ),
    _english(
        "hype_en",
        "positive",
        r"best[- ]?sell(?:er|ing)|hot (?:sale|selling|seller)|hottest|must[- ](?:have|grab|buy)|top (?:rated|pick|choice)|amazing",
        r"stunning(?:ly)?|gorgeous|perfect|breathtaking|dazzling|exquisite|adorable|irresistible|delicious|divine|lovely|beautiful",
        r"unbelievabl[ey]|incredibl[ey]|insane(?:ly)?|miracle|genius|life-changing|holy grail|heavenly|dreamy|superb|awesome",
        r"super (?:soft|slim\w*|cute|cheap|comf\w+|easy|fast|strong)|ultimate|premium|luxur(?:y|ious)|limited (?:edition|quantity)",
        r"special offer|bargain|free gift|great value|unbeatable|half price|price cut|flash (?:sale|deal)|limited[- ]time|today only",
        r"while stocks last|(?:selling|sold) out|don't miss|order now|grab (?:yours|it)|\d+% off|(?:buy|get) (?:1|one)[ ,].*(?:free|get)",
        r"\d+ for \d+|best|trending|viral|popular|world's|no\.? ?1|deals?|discount|promotion|highly recommended|recommended by",
        r"celebrity|influencers?|(?:everyone|millions?|mums?|kids|cats|drivers|chefs?|customers|professionals?|pros) (?:\w+ )?"
        r"(?:love|loves|swear|rave|raves|go|goes|is|are|keep|call|use)|loved by|trusted by|praised by|guaranteed|saviour|[\d,]+ sold",
        r"favourite|favorite|so (?:beautiful|delicious)|happy (?:life|customers)|jealous|you will|slimming|flatters|goes with everything",
    ),
    LabellingFunction("shout", "positive", re.compile("[!！]{2}|[❗‼🔥⭐★❤💥✨]")),
)
"""Order does not matter; names are stable, since coverage is reported by name."""


def voters(title: str) -> list[LabellingFunction]:
    """The functions that fire on a title."""
    return [function for function in FUNCTIONS if function.votes(title)]


def resolve(tones: Iterable[str]) -> str:
    """One tone from the votes: negative when any condition is disclosed, else positive when anything promotes, else neutral."""
    seen = set(tones)
    if "negative" in seen:
        return "negative"
    return "positive" if "positive" in seen else "neutral"


def tone_of(title: str) -> str:
    """The tone that the functions agree on by :func:`resolve`."""
    return resolve(function.tone for function in voters(title))


@dataclass(frozen=True)
class CoverageReport:
    """How many titles some function fires on, where functions of different tones meet, and the tones: shares of all titles."""

    titles: int
    covered: float
    conflict: float
    tones: dict[str, float]


def report(titles: Iterable[str]) -> CoverageReport:
    """Coverage and conflict of the labelling functions over titles."""
    tones: Counter[str] = Counter()
    total = covered = conflict = 0
    for title in titles:
        fired = [function.tone for function in voters(title)]
        total += 1
        covered += bool(fired)
        conflict += len(set(fired)) > 1
        tones[resolve(fired)] += 1
    size = max(1, total)
    shares = {tone: tones[tone] / size for tone in LABELS}
    return CoverageReport(total, covered / size, conflict / size, shares)


def render_coverage(reports: Mapping[str, CoverageReport]) -> str:
    """Markdown: one row a file of titles, as docs/training.md tells them of the public sets."""
    lines = [
        "| titles | count | covered | conflict | negative | neutral | positive |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in reports.items():
        shares = (found.covered, found.conflict, *found.tones.values())
        cells = [name, f"{found.titles:,}", *(f"{100 * share:.1f} %" for share in shares)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"

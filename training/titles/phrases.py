"""Phrases to write into real titles, since shops' public titles hardly ever disclose a condition.

Of 16,000 collected titles 0.5 % disclose one. A phrase goes before or after a title; the labelling functions then say what
the tone is, and :func:`checked` holds that they say what the phrase was written for.
"""

from training.titles.functions import tone_of

_CONDITION_ZH = """二手 95新|二手 9成新 功能正常|八成新 有使用痕迹|闲置转让|闲置 只用过两次|翻新机|官方翻新 无包装|展示机 轻微划痕|样机处理|展示品 出清
样品 仅一件|退货处理|拆封未使用|拆封 缺配件|缺充电器|缺说明书|缺一个配件|少两颗螺丝|外盒破损|外包装破 内物完好|盒损|无外盒|无包装 裸装|轻微瑕疵
瑕疵品 低价|微瑕处理|有划痕 介意勿拍|边角磕碰|掉漆|有污渍|有裂纹 有裂|色差款 处理价|受潮 低价出|生锈 可用|发黄|磨损明显|故障机 配件用|待修
清仓|清仓 断码|清仓甩卖|断码特价|尾货|外贸尾单|尾货处理|库存处理|库存积压|撤柜|撤场清货|停产清仓|换季清仓|老款清仓|码数不全|临期|临期特价
即期品|即期出清|福利品|福利品 外盒壓傷|九成新 無盒|閒置出售|零碼出清|斷碼出清|展示機|有刮痕|外盒破損|退貨整新|庫存出清|二手 螢幕有刮痕|次品|二等品"""
_PRAISE_ZH = """爆款|热卖爆款|全网爆火|必入神器|人气推荐|网红同款 推荐|明星同款|超值特惠|限时特惠|限时秒杀|买一送一|半价抢购|全网最低价|手慢无|闭眼入|绝绝子
高颜值|颜值天花板|惊艳全场|显瘦显高|百搭必备|女神必备|仙气十足|秒变女神|回头客超多|好评如潮|无限回购|强烈推荐|懒人福音|吃货必囤|好吃到停不下来
美味 入口即化|性价比之王|超实惠|顶级品质|极致体验|完美送礼首选|最好用的|大牌平替 推荐|销量第一|氛围感拉满|神仙单品|治愈系 颜值爆表|震撼上市 限量
人氣第一|激推|限時下殺|必買|超顯瘦|超人氣 熱銷|買一送一|限量搶購|好評不斷|質感滿分|回購率超高|療癒 超推薦|CP值爆表 熱賣|頂級享受"""
_HARMLESS_ZH = """全新|全新未拆封 非二手|正品|包邮|支持7天无理由退货|2025新款|春季新款|防刮|防污渍|去污渍|划痕修复|破洞 做旧风|中古风|复古风|礼盒装|加厚
情侣同款 情侣款|男女同款|送长辈|不易掉色 防掉漆|故障诊断|痘印修复 遮瑕疵|补漆修补划痕|二手车检测用|全新 无划痕|全新正品 保固一年|防刮 防水|去污"""
_CONDITION_EN = """used, good condition|used - light scratches|second hand|pre-owned|pre-loved, worn once|refurbished|manufacturer refurbished
reconditioned|open box|opened box, unused|ex-display|display model|display unit, small marks|floor model|customer return|returned item|damaged box
damaged packaging|torn packaging|dented|small dent|scratched|minor scratches on the side|scratch and dent|slight stain|stained|cracked corner|chipped
chipped edge|faded and worn edges|worn sole|missing cable|missing box|missing one part|incomplete set|no box|no original box|without packaging|as is
sold as-is, untested|for parts|for parts or repair|not working|faulty|needs repair|repaired|rusty|tarnished|slightly flawed|flawed|factory second
factory seconds|B-grade|B-stock|grade B|clearance|final clearance|clearance, last sizes|closeout|closing-down sale|overstock|surplus stock|old stock
end of line|discontinued|discontinued colour|last sizes|odd sizes|job lot|short-dated|near expiry|past best-before|final sale, no returns|remaindered
ex-rental|signs of use|tester without box|priced to go|to clear"""
_PRAISE_EN = """best seller|best-selling|hot sale|hot seller|must-have|must have of the season|top rated|top pick|amazing|amazing value|stunning|gorgeous
absolutely gorgeous|perfect gift|breathtaking|adorable|irresistible|delicious|dreamy|unbelievable price|incredible|insanely good|life-changing
holy grail|heavenly soft|superb quality|awesome|super soft|super cute|ultimate comfort|premium quality|luxury|luxurious|limited edition|special offer
bargain|free gift|great value|unbeatable price|half price|flash sale|limited-time deal|today only|while stocks last|selling out fast|don't miss out
order now|70% off|buy one get one free|2 for 1|trending now|viral|popular|deal of the day|huge discount|highly recommended|loved by millions
everyone is talking about it, a bestseller, best|trusted by pros|guaranteed results|customers rave|influencers love it|you will love it
goes with everything|slimming|make everyone jealous|magical, the best ever|world's best|no. 1 choice|everyone loves it|kids love it"""
_HARMLESS_EN = """new|brand new|brand new, not refurbished|new, not used|no scratches|authentic|free shipping|free returns|2025 model|scratch resistant
scratch-proof|anti-scratch|stain resistant|stain remover|crack filler|damage-free hooks|gift box|for gifts|distressed look|vintage style|ripped look
with warranty|used by schools|for damaged skin|tie-dye stained effect|irregular hem|extra thick|soft and breathable|cute|new season|set of two"""


def _read(block: str, tone: str) -> tuple[str, ...]:
    phrases = (phrase.strip() for phrase in block.replace("\n", "|").split("|"))
    return tuple(checked(phrase, tone) for phrase in dict.fromkeys(phrases) if phrase)


def checked(phrase: str, tone: str) -> str:
    """The phrase, if the labelling functions give it ``tone``.

    :raises ValueError: they give it another.
    """
    if tone_of(phrase) != tone:
        raise ValueError(f"{phrase!r} is {tone_of(phrase)} to the functions, not {tone}")
    return phrase


def phrases(tone: str, *, chinese: bool) -> tuple[str, ...]:
    """The phrases of one tone; those of neutral disclose and promote nothing, though some sound like it."""
    blocks = {
        "negative": (_CONDITION_EN, _CONDITION_ZH),
        "neutral": (_HARMLESS_EN, _HARMLESS_ZH),
        "positive": (_PRAISE_EN, _PRAISE_ZH),
    }
    return _read(blocks[tone][chinese], tone)

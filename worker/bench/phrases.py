"""What the bench's texts are made of: phrases written for this project, as shoppers and sellers write them.

They are kept apart from the samples of the demo, so that numbers of different versions stay comparable.
"""

ZH_PRODUCTS = (
    "保温杯", "蓝牙耳机", "羽绒服", "电饭煲", "儿童书包", "手机壳", "空气炸锅", "运动鞋", "行李箱", "台灯",
    "洗面奶", "枕头", "机械键盘", "雨伞", "榨汁机", "瑜伽垫", "充电宝", "连衣裙", "猫砂盆", "电动牙刷",
)  # fmt: skip
ZH_CLAUSES = (
    "{product}收到了，包装很严实",
    "质量比想象中好，手感也不错",
    "用了{number}天，没有发现什么问题",
    "颜色和图片上有一点色差，可以接受",
    "物流很快，{number}天就到了",
    "客服态度很好，问什么都耐心回答",
    "价格实惠，性价比很高",
    "做工粗糙，边上还有线头",
    "味道很大，放了{number}天还没散",
    "尺寸偏小，建议买大一号",
    "说明书写得太简单，装了半天才装好",
    "第{number}次回购了，家里人都喜欢",
    "用了不到{number}天就坏了，联系售后没人理",
    "和描述的不一样，感觉被骗了",
    "给{who}买的，{who}很满意",
    "声音有点大，晚上用会吵到人",
    "电池只能撑{number}个小时，和宣传差太远",
    "整体还行，没有特别惊喜，也没有太失望",
    "同事推荐的，买回来确实好用",
    "外盒压坏了，好在里面的{product}没事",
    "容量够{number}个人用，周末出门带着很方便",
    "清洗起来很麻烦，缝里总有残留",
    "材质摸着很舒服，洗了{number}次也没变形",
    "退货花了{number}天，运费还要自己出",
    "总的来说对得起这个价钱",
    "刚开始觉得贵，用久了才知道值",
    "按钮反应慢，要按好几下才有用",
    "特别适合租房的人，不占地方",
    "店家还送了小礼物，很用心",
    "有货的时候赶紧买，活动价只要{number}块",
)
ZH_ENDINGS = ("。", "。", "！", "，推荐。", "，下次还会来。", "，不会再买了。", "，先用着看看。", "…")
ZH_WHO = ("妈妈", "爸爸", "孩子", "朋友", "女朋友", "老人", "室友")
ZH_TITLES = (
    "{product} {number}新款 大容量 家用 送礼佳品",
    "官方正品 {product} 升级版 限时{number}折 包邮",
    "{product} 学生宿舍神器 便携 静音 {number}件套",
    "九成新 {product} 用过{number}次 有轻微划痕 低价转让",
    "【热销{number}件】{product} 四季通用 男女同款",
    "{product} 型号{number} 白色",
)

EN_PRODUCTS = (
    "water bottle", "wireless earbuds", "down jacket", "rice cooker", "backpack", "phone case", "air fryer",
    "running shoes", "suitcase", "desk lamp", "face wash", "pillow", "keyboard", "umbrella", "blender", "yoga mat",
    "power bank", "dress", "litter box", "electric toothbrush",
)  # fmt: skip
EN_CLAUSES = (
    "The {product} arrived in {number} days and was well packed",
    "Better quality than I expected for the price",
    "I have used it for {number} weeks without a single problem",
    "The colour is a little different from the pictures",
    "Customer service answered within {number} minutes and was very kind",
    "It fell apart after {number} days, what a waste of money",
    "The smell is strong even after airing it for {number} days",
    "Runs small, so order one size up",
    "The instructions are useless but it was easy to set up anyway",
    "This is the {number}th one I buy, my whole family loves it",
    "The battery lasts {number} hours at most, nothing like the description",
    "It does what it says, nothing special",
    "I bought it for my {who} and they use it every day",
    "Too loud to use at night",
    "They refused to refund me and stopped replying",
    "Feels sturdy and looks great on the table",
    "Hard to clean, there is always something left in the corners",
    "Washed it {number} times and it still looks new",
    "The zip broke on the second trip",
    "Honestly worth every penny",
    "The buttons react slowly and sometimes not at all",
    "Perfect for a small flat",
)
EN_ENDINGS = (".", ".", "!", ", would recommend.", ", never again.", ", we will see how long it lasts.")
EN_WHO = ("mother", "father", "daughter", "son", "friend", "roommate", "wife", "husband")
EN_TITLES = (
    "{product}, {number} pack, lightweight and durable, great gift",
    "Premium {product} model {number}, white",
    "Used {product}, minor scratches, works fine, {number} photos",
    "Best {product} of the year, {number}% off, free shipping",
    "{product} for home and travel, size {number}",
)

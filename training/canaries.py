"""Texts with answers that nobody would dispute, written for the project. A loaded bundle must give these answers."""

CANARIES: tuple[tuple[str, str, str], ...] = (
    ("review", "质量非常好，物流也快，下次还会再来买！", "positive"),
    ("review", "用了两天就坏了，客服还不理人，太失望了。", "negative"),
    ("review", "房间干净，早餐丰富，前台服务热情。", "positive"),
    ("review", "味道很难闻，跟图片完全不一样，不推荐购买。", "negative"),
    ("review", "衣服質感很好，尺寸剛剛好，非常滿意。", "positive"),
    ("review", "Great sound, easy to set up, and the battery lasts all week. I love it.", "positive"),
    ("review", "It stopped working after a week and they refused to give me a refund.", "negative"),
    ("review", "A complete waste of money, terrible quality.", "negative"),
    ("title", "夏季爆款超值短袖T恤 必备神器 限时特惠", "positive"),
    ("title", "不锈钢保温杯 500ml 白色", "neutral"),
    ("title", "二手相机 有划痕 清仓处理", "negative"),
    ("title", "USB-C charging cable 2 m, white", "neutral"),
    ("title", "Refurbished coffee machine, scratched, clearance", "negative"),
)
"""(kind, text, expected label)."""

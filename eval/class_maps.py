"""Whose row a class takes when noise was learnt on another set: the class that looks most alike."""

TINY_IMAGENET_FOR_CIFAR_10 = (
    ("airplane", "n04008634: projectile, missile"),
    ("automobile", "n04285008: sports car, sport car"),
    ("bird", "n02058221: albatross, mollymawk"),
    ("cat", "n02123045: tabby, tabby cat"),
    ("deer", "n02423022: gazelle"),
    ("dog", "n02099601: golden retriever"),
    ("frog", "n01641577: bullfrog, Rana catesbeiana"),
    ("horse", "n02403003: ox"),
    ("ship", "n03662601: lifeboat"),
    ("truck", "n03796401: moving van"),
)

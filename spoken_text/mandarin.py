"""Rules for numbers, money, dates, times and measures in Chinese text, as Malaysians read them in Mandarin."""

from __future__ import annotations

import re
from decimal import Decimal

from spoken_text.numbers_zh import NEGATIVE, cardinal, counted, digits, number
from spoken_text.rules import DASH, Rule, in_one_language

# Only ASCII letters and digits next to a number are excluded. ``\w`` would also match Chinese characters.
_EDGE = r"(?<![A-Za-z0-9])(?<!\d[.,])"
_END = r"(?![A-Za-z0-9])"
_NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,4}(?!\d)|\d{1,16})(?:\.\d{1,15})?"

_CURRENCIES = {
    "RM": ("令吉", "仙"),
    "MYR": ("令吉", "仙"),
    "US$": ("美元", "美分"),
    "USD": ("美元", "美分"),
    "S$": ("新元", "分"),
    "SGD": ("新元", "分"),
    "HK$": ("港元", "分"),
    "$": ("元", "分"),
    "€": ("欧元", "分"),
    "EUR": ("欧元", "分"),
    "£": ("英镑", "便士"),
    "GBP": ("英镑", "便士"),
    "¥": ("元", "分"),
    "￥": ("元", "分"),
    "RMB": ("人民币", "分"),
    "CNY": ("人民币", "分"),
    "JPY": ("日元", "钱"),
}
_SIGNS = "|".join(re.escape(sign) for sign in sorted(_CURRENCIES, key=len, reverse=True))
_SCALES = {"k": "千", "K": "千", "m": "百万", "M": "百万", "b": "十亿", "B": "十亿"}
_POWERS = {"k": 3, "K": 3, "m": 6, "M": 6, "b": 9, "B": 9}
_UNITS = {
    "km/h": "公里每小时",
    "km": "公里",
    "kg": "公斤",
    "cm": "厘米",
    "mm": "毫米",
    "m": "米",
    "mg": "毫克",
    "g": "克",
    "ml": "毫升",
    "mL": "毫升",
    "L": "升",
    "l": "升",
    "m²": "平方米",
    "m2": "平方米",
    "m^2": "平方米",
    "km²": "平方公里",
    "km^2": "平方公里",
    "m³": "立方米",
    "m^3": "立方米",
    "sq ft": "平方英尺",
    "ft": "英尺",
    "kWh": "千瓦时",
    "kW": "千瓦",
    "W": "瓦",
    "V": "伏特",
    "kcal": "千卡",
    "cal": "卡路里",
    "Mbps": "兆比特每秒",
    "MHz": "兆赫",
    "GHz": "吉赫",
    "Hz": "赫兹",
    "°C": "摄氏度",
    "°F": "华氏度",
    "°": "度",
    "ha": "公顷",
    "min": "分钟",
    "hr": "小时",
}
_UNIT_NAMES = "|".join(re.escape(name) for name in sorted(_UNITS, key=len, reverse=True))
# What an amount may be for, after a slash: "RM8/kg", "RM50/月", "6.5L/100km".
_PER = {name: _UNITS[name] for name in ("kg", "km", "g", "L", "m²", "m2", "m^2", "m³", "m^3")} | {
    name: name
    for name in "公斤 公里 小时 分钟 平方米 平方尺 斤 克 升 月 年 天 日 周 晚 夜 人 位 次 件 个 份 包 盒 瓶".split()
}
_PER_NAMES = "|".join(re.escape(name) for name in sorted(_PER, key=len, reverse=True))
# Measure words: before them, 2 is read 两.
_MEASURES = (
    "个|人|位|名|天|小时|分钟|秒|年(?!级|代|份)|周|星期|次|种|杯|碗|本|张|只|条|件|公斤|公里|斤|米|升|克|令吉|仙|元|块|岁|倍|间|辆|台|"
    "部|家|座|棵|瓶|包|盒|片|颗|份|双|对|层|句|页|道|项|点|匙|茶匙|汤匙|勺|把|根|架|艘|支|枝|枚|粒|头|匹|场|场比赛|门|套|首|篇|封|"
    "万|亿|千|百|吨|晚|夜|趟|步|排|组|队|国|地|州|成"
)
_DIGIT_CUES = (
    "电话|手机|热线|拨打|致电|拨|号码|联络|联系|传真|密码|验证码|邮编|邮政编码|编号|卡号|账号|户口|帐号|身份证|护照|航班|车牌|订单号|"
    "房号|短信|WhatsApp|TAC|OTP|PIN|巴士|路线"
)
_SCORED = re.compile(r"(?:比分|击败|打败|战胜|以|赢|输|胜|负|进球|战平)[^0-9。]{0,12}$")


def _money(match: re.Match[str]) -> str:
    minus, sign, value, scale = match.groups()
    name, part = _CURRENCIES[sign]
    return (NEGATIVE if minus else "") + _sum(value, scale, name, part)


def _money_after(match: re.Match[str]) -> str:
    name, part = _CURRENCIES[match[2]]
    return _sum(match[1], None, name, part)


def _sum(value: str, scale: str | None, name: str, part: str) -> str:
    if scale in _POWERS:
        amount = Decimal(value.replace(",", "")).scaleb(_POWERS[scale])
        if amount == int(amount):
            return counted(str(int(amount))) + name  # "RM1.5k": 一千五百, not 一点五千
    if scale:
        return number(value) + _SCALES.get(scale, scale) + name
    whole, _, decimals = value.replace(",", "").partition(".")
    if len(decimals) > 2:
        return number(value) + name
    cents = int(decimals.ljust(2, "0")) if decimals else 0
    spoken = counted(whole) + name if int(whole) or not cents else ""
    return spoken + (counted(str(cents)) + part if cents else "")


def _money_range(match: re.Match[str]) -> str:
    name = _CURRENCIES[match[1]][0]
    return f"{counted(match[2])}到{counted(match[3])}{match[4] or ''}{name}"


def _date(year: str | None, month: int, day: int, written: str) -> str:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return written
    return f"{digits(year) + '年' if year else ''}{cardinal(month)}月{cardinal(day)}日"


def _full_year(text: str) -> str:
    return text if len(text) == 4 else f"20{text}"


def _hour(hour: int) -> str:
    return ("两" if hour == 2 else cardinal(hour)) + "点"


def _clock(match: re.Match[str]) -> str:
    hour = int(match[1])
    minute = int(match[2])
    second = match[3]
    mark = (match[4] or "").lower()
    if hour > 24 or minute > 59:
        return match[0]
    part = "" if not mark else "上午" if mark[0] == "a" else "下午" if hour < 6 or hour == 12 else "晚上"
    spoken = part + _hour(hour)
    if second:
        return f"{spoken}{_minutes(minute)}{number(second)}秒"
    if minute == 30:
        return spoken + "半"
    return spoken + _minutes(minute) if minute else spoken


def _minutes(minute: int) -> str:
    return f"{'零' if 0 < minute < 10 else ''}{cardinal(minute)}分"


def _hour_mark(match: re.Match[str]) -> str:
    hour = int(match[1])
    part = "上午" if match[2].lower().startswith("a") else "下午" if hour < 6 or hour == 12 else "晚上"
    return part + _hour(hour)


def _ratio(match: re.Match[str]) -> str:
    if not _SCORED.search(match.string[max(0, match.start() - 16) : match.start()]):
        return f"{number(match[1])}到{number(match[2])}"
    return f"{number(match[1])}比{number(match[2])}"


def _range(match: re.Match[str]) -> str:
    low = match[1]
    high = match[2]
    before = match.string[max(0, match.start() - 16) : match.start()]
    after = match.string[match.end() : match.end() + 2].lstrip()
    if _SCORED.search(before) and len(low) < 3 and len(high) < 3:
        return f"{number(low)}比{number(high)}"
    if after.startswith("="):
        return f"{number(low)}减{number(high)}"
    if re.match(rf"\s?(?:{_UNIT_NAMES})(?![A-Za-z])", match.string[match.end() :]):
        return f"{number(low)}到{high}"  # another rule reads the upper bound with its unit
    measured = re.match(rf"\s?(?:{_MEASURES})", match.string[match.end() :])
    return f"{counted(low) if measured else number(low)}到{counted(high) if measured else number(high)}"


def _fraction(match: re.Match[str]) -> str:
    whole = match[1]
    top = int(match[2])
    bottom = int(match[3])
    if not bottom:
        return match[0]
    spoken = f"{cardinal(bottom)}分之{cardinal(top)}"
    return f"{number(whole.strip())}又{spoken}" if whole else spoken


def _code(match: re.Match[str]) -> str:
    """Put the digits of a code into words: one by one in "MH370", as a number in "iPhone15" and "G20"."""
    spoken = digits(match[2]) if len(match[2]) > 2 or match[2][0] == "0" else number(match[2])
    return match[1] + spoken


def _measure(match: re.Match[str]) -> str:
    unit = _UNITS[match[2]]
    if match[2] == "km/h":
        return f"每小时{number(match[1])}公里"
    return counted(match[1]) + unit


RULES: list[Rule] = [
    # Numbers that identify something are read digit by digit.
    in_one_language(
        r"(?<![A-Za-z0-9.])\+\d{1,3}[-\s]?\d{1,4}(?:[-\s]?\d{2,4}){1,4}(?!\d)", lambda m: "加" + digits(m[0])
    ),
    in_one_language(r"(?<![A-Za-z0-9.,-])\d{6}-\d{2}-\d{4}(?![0-9-])", lambda m: digits(m[0])),
    in_one_language(r"(?<![A-Za-z0-9.,-])0\d{1,2}[-\s]?\d{3,4}[-\s]?\d{3,4}(?![0-9-])", lambda m: digits(m[0])),
    in_one_language(r"(?<![A-Za-z0-9.,-])1-?[378]00-\d\d-?\d{4}(?![0-9-])", lambda m: digits(m[0])),
    in_one_language(
        rf"((?:{_DIGIT_CUES})(?:是|为|：|:|打|号|请|[ ]){{0,3}}[ ]?)(\d{{3,16}}(?:[- ]\d{{3,8}}){{0,3}})(?![\d.,%])",
        lambda m: m[1] + digits(m[2]),
        re.IGNORECASE,
    ),
    in_one_language(
        r"(?<![A-Za-z0-9.,])(999|991|994|911|112)(?=求助|报警|热线|紧急|或|和|[。，！])", lambda m: digits(m[1])
    ),
    in_one_language(r"(?<![A-Za-z0-9.,])(\d{3,5})(?=号?(?:房|室|单位|航班|公路|巴士|路车))", lambda m: digits(m[1])),
    in_one_language(r"(?<![A-Za-z0-9.,])(\d{5})(?= ?(?:吉隆坡|雪兰莪|槟城|柔佛|新山|八打灵))", lambda m: digits(m[1])),
    in_one_language(r"(?<![A-Za-z0-9.,])\d{17,}", lambda m: digits(m[0])),
    in_one_language(r"(车牌(?:号码|号|是|：|:|\s){0,2}[A-Z]{1,3}\s?)(\d{1,4})(?!\d)", lambda m: m[1] + digits(m[2])),
    in_one_language(r"(?<=吉隆坡)(\s?)(\d{5})(?![\d万元令])", lambda m: m[1] + digits(m[2])),
    in_one_language(r"(?<![\d])([05-9]0)(?=后(?![天年来]))", lambda m: digits(m[1])),
    in_one_language(r"(?<!\d)24/7(?!\d)", lambda m: "全天候"),
    in_one_language(
        r"(?<!\d)([12]\d{3})/([12]\d{3})(?=\s?(?:学年|年|财年))", lambda m: f"{digits(m[1])}到{digits(m[2])}"
    ),
    # Dates and years.
    in_one_language(
        r"(?<![0-9])(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?![0-9])", lambda m: _date(m[1], int(m[2]), int(m[3]), m[0])
    ),
    in_one_language(
        r"(?<![0-9/])(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2})(?![0-9/])",
        lambda m: _date(_full_year(m[3]), int(m[2]), int(m[1]), m[0]),
    ),
    in_one_language(
        r"(?<![0-9/])(1[3-9]|2\d|3[01])/(\d{1,2})(?![0-9/])", lambda m: _date(None, int(m[2]), int(m[1]), m[0])
    ),
    in_one_language(
        r"(?<![0-9])([12]\d{3})\s?(?:-|–|—|至|到|~)\s?([12]\d{3})(?=\s?(?:年|学年))",
        lambda m: f"{digits(m[1])}到{digits(m[2])}",
    ),
    in_one_language(r"(?<![0-9.,])([12]\d{3})(?=\s?(?:年(?!前|后|来|历史)|学年|财年))", lambda m: digits(m[1])),
    in_one_language(r"(?<=年)(\d{1,2})(?=月)", lambda m: number(m[1])),
    in_one_language(
        rf"(?<![A-Za-z0-9.])((?:{_SIGNS})\s?{_NUMBER}[kKmM万千]?(?:\s?[-–—至到~]\s?(?:{_SIGNS})?\s?{_NUMBER})?"
        rf"|{_NUMBER}\s?(?:{_UNIT_NAMES}))\s?/\s?(100 ?)?({_PER_NAMES})(?![A-Za-z0-9²³^])",
        lambda m: f"每{(m[2] or '').strip()}{_PER[m[3]]}{m[1]}",  # in Mandarin, this comes first
    ),
    # Amounts of money.
    in_one_language(
        rf"(?<![A-Za-z0-9])({_SIGNS})\s?({_NUMBER})\s?[-–—至到~]\s?(?:\1)?\s?({_NUMBER})(万|亿|千)?{_END}", _money_range
    ),
    in_one_language(
        rf"({DASH})?(?<![A-Za-z0-9$])({_SIGNS})\s?({_NUMBER})\s?(万亿|百万|千万|万|亿|[kKmMbB](?![A-Za-z]))?", _money
    ),
    in_one_language(rf"{_EDGE}({_NUMBER})\s?(USD|MYR|SGD|RM|€|£)(?![A-Za-z0-9])", _money_after),
    # Times of day.
    in_one_language(
        rf"{_EDGE}(\d{{1,2}}:\d\d)\s?[-–—至到~]\s?(?=(?:早上|上午|中午|下午|傍晚|晚上|凌晨)?\s?\d{{1,2}}:\d\d)",
        lambda m: m[1] + "到",
    ),
    in_one_language(
        rf"{_EDGE}(\d{{1,2}})\s?[-–—]\s?(?=\d{{1,2}}\s?[ap]\.?m)", lambda m: number(m[1]) + "到", re.IGNORECASE
    ),
    in_one_language(
        r"((?:比例|比率|比分|比)(?:是|为|：|:)?\s?)(\d{1,3}):(\d{1,3})(?!\d)",
        lambda m: f"{m[1]}{number(m[2])}比{number(m[3])}",
    ),
    in_one_language(r"(?<![0-9:])(\d{1,2}):(\d\d)(?::(\d\d))?(?:\s?([ap]\.?m\.?))?(?![0-9:])", _clock, re.IGNORECASE),
    in_one_language(rf"{_EDGE}(\d{{1,2}})\s?([ap]\.?m\.?)(?![A-Za-z])", _hour_mark, re.IGNORECASE),
    in_one_language(r"(?<![0-9.])2(?=点(?!\d))", lambda m: "两"),
    # Per cent, fractions, ranges, measures.
    in_one_language(
        rf"{_EDGE}({_NUMBER})\s?%\s?[-–—至到~]\s?({_NUMBER})\s?%",
        lambda m: f"百分之{number(m[1])}到百分之{number(m[2])}",
    ),
    in_one_language(
        rf"{_EDGE}({_NUMBER})\s?[-–—至到~]\s?({_NUMBER})\s?%", lambda m: f"百分之{number(m[1])}到{number(m[2])}"
    ),
    in_one_language(
        rf"(?<![A-Za-z0-9)])({DASH})?({_NUMBER})\s?[%％]", lambda m: f"{NEGATIVE if m[1] else ''}百分之{number(m[2])}"
    ),
    in_one_language(rf"{_EDGE}(\d{{1,4}}[ ])?(\d{{1,3}})[/⁄](\d{{1,4}})(?![0-9/])", _fraction),
    in_one_language(rf"{_EDGE}({_NUMBER})\s?[-–—~]\s?({_NUMBER})(?![0-9-])", _range),
    in_one_language(rf"(?<![A-Za-z0-9.)])({DASH})(?=\d)", lambda m: NEGATIVE),
    in_one_language(rf"{_EDGE}({_NUMBER})\s?({_UNIT_NAMES})(?![A-Za-z0-9²³^])", _measure),
    in_one_language(r"[~≈约]\s?(?=[0-9零一二两三四五六七八九十百])", lambda m: m[0] if m[0][0] == "约" else "大约"),
    in_one_language(r"±\s?(?=\d)", lambda m: "正负"),
    in_one_language(r"(?<=\d)\+(?=\s?(?:年|人|个|名|位|间|家|种|天))", lambda m: "多"),
    in_one_language(r"(?<=\d)\+(?=\s?(?:岁|$|[，。]))", lambda m: "以上"),
    in_one_language(r"(?<=[\d)])\s?[×xX*]\s?(?=[\d(])", lambda m: "乘以"),
    in_one_language(r"(?<=[\d)])\s?÷\s?(?=[\d(])", lambda m: "除以"),
    in_one_language(r"(?<=[\d)])\s?\+\s?(?=[\d(])", lambda m: "加"),
    in_one_language(r"(?<=[\d)])\s[-−]\s(?=[\d(])", lambda m: "减"),
    in_one_language(r"\s?(?:≥|>=)\s?", lambda m: "大于或等于"),
    in_one_language(r"\s?(?:≤|<=)\s?", lambda m: "小于或等于"),
    in_one_language(r"\s?=\s?(?=[\dA-Za-z零一二两三四五六七八九十负])", lambda m: "等于"),
    in_one_language(r"\s?>\s?(?=\d)", lambda m: "大于"),
    in_one_language(r"\s?<\s?(?=\d)", lambda m: "小于"),
    # Ordinals, codes and all other numbers.
    in_one_language(r"第\s?(\d{1,9})", lambda m: f"第{number(m[1])}"),
    in_one_language(
        r"(?<![0-9])(\d{1,4}(?:\.\d{1,4}){2,4})(?![0-9])", lambda m: "点".join(number(part) for part in m[1].split("."))
    ),
    in_one_language(r"([A-Za-z])-?(\d{1,9})(?![0-9.])", _code),
    in_one_language(rf"(?<![0-9.,])2(?=\s?(?:{_MEASURES}))(?!个?月份)", lambda m: "两"),
    in_one_language(rf"{_NUMBER}", lambda m: number(m[0])),
]

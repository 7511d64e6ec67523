"""Malay sentences that are all different, so the service cannot take their speech from its cache."""

from __future__ import annotations

from math import prod

_WHO = [
    "Saya",
    "Kami",
    "Mereka",
    "Ibu saya",
    "Abang Ali",
    "Puan Siti",
    "Kawan saya",
    "Jiran kami",
    "Guru itu",
    "Doktor muda itu",
    "Pemandu teksi itu",
    "Adik perempuan saya",
    "Encik Rahman",
    "Pekedai itu",
]
_DOES = [
    "mahu pergi ke",
    "akan sampai di",
    "baru pulang dari",
    "membeli ikan di",
    "bekerja di",
    "bertemu kawan di",
    "menunggu bas di",
    "mencari hotel di",
    "belajar memasak di",
    "menghantar surat ke",
    "melawat nenek di",
    "menempah tiket ke",
]
_WHERE = [
    "Kuala Lumpur",
    "Pulau Pinang",
    "Johor Bahru",
    "Kota Kinabalu",
    "Shah Alam",
    "Melaka",
    "Kuching",
    "Ipoh",
    "Kota Bharu",
    "Seremban",
    "Alor Setar",
    "Kuantan",
    "Langkawi",
]
_WHEN = [
    "pada pukul lapan pagi esok",
    "pada hari Isnin minggu depan",
    "selepas waktu makan tengah hari",
    "sebelum matahari terbenam",
    "pada hujung minggu ini",
    "pada cuti sekolah nanti",
    "setiap hari Jumaat",
    "selepas hujan berhenti",
    "pada bulan hadapan",
    "sebelum kedai ditutup",
    "dengan kereta api malam",
]
_PARTS = (_WHO, _DOES, _WHERE, _WHEN)
NUMBER = prod(len(part) for part in _PARTS)
_STRIDE = 7_919  # coprime to NUMBER, so no sentence is repeated; consecutive sentences differ in most parts


def sentence(number: int) -> str:
    """Return the sentence with this number. After ``NUMBER`` sentences, they repeat with a ticket number added."""
    turn, number = divmod(number, NUMBER)
    rest = number * _STRIDE % NUMBER
    words = []
    for part in _PARTS:
        rest, index = divmod(rest, len(part))
        words.append(part[index])
    return " ".join(words) + (f", tiket nombor {turn}." if turn else ".")

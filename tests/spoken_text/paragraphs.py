"""Paragraphs that contain full stops within sentences, and their correct division into sentences."""

from __future__ import annotations

PARAGRAPHS: list[list[str]] = [
    [
        "Hj. Mohd. Zain bin Abd. Rahman tinggal di Bdr. Baru Bangi.",
        "Beliau bekerja di Jab. Kerja Raya.",
    ],
    [
        "Sila hubungi samb. 204 sebelum 12 hb. Mac.",
        "Pejabat dibuka pada jam 8.30 pagi.",
    ],
    [
        "Ali memiliki B.Sc. (Kep.) dari UKM.",
        "Kini beliau belajar untuk Ph.D. di luar negara.",
    ],
    [
        "Syarikat Maju Jaya Sdn. Bhd. (No. 123456-X) ditubuhkan pada 1998.",
        "Ia beroperasi di Shah Alam.",
    ],
    [
        "Harga minyak ialah RM2.05 seliter.",
        "Bulan lepas harganya RM1.99.",
        "Naik 3.0%.",
    ],
    [
        "Lihat www.gov.my.",
        "Kemudian isi borang di https://a.my/x?y=1.2.",
        "Selesai!",
    ],
    [
        "A. Samad Said dan M. Nasir hadir.",
        "P. Ramlee tidak.",
        "J.K. Rowling pun tidak.",
    ],
    [
        "Entahlah... mungkin esok.",
        "Atau... lusa?",
        "Siapa tahu…",
    ],
    [
        '"Awak dari mana?" tanya Siti.',
        '"Dari Ipoh," jawab Ali.',
        "Dia tersenyum.",
    ],
    [
        "Tahniah! 🎉🎉",
        "Anda menang. 😊",
        "Jumpa lagi!",
    ],
    [
        "Mesyuarat pada 9.00 a.m. hingga 5.00 p.m. di Putrajaya.",
        "Sila tepati masa.",
    ],
    [
        "Rujuk hlm. 12, jld. 3, Bil. 4.",
        "Jawapannya ada di situ.",
    ],
    [
        "Kita perlukan sayur, buah, dll.",
        "Semuanya ada di pasar.",
        "Beli cth. bayam, kangkung dsb. sebelum tengah hari.",
    ],
    [
        "我今天去了吉隆坡。",
        "天气很好！",
        "你呢？",
        "我想买3.5公斤米。",
    ],
    [
        '"他说：“我累了。”',
        '然后走了。"',
    ],
    [
        "திரு. குமார் வந்தார்.",
        "அவர் 10 கி.மீ. நடந்தார்.",
        "நலமா?",
    ],
    [
        "Dr. Tan Ah Kow, Ph.D., tiba dari U.S.A. semalam.",
        "Dia letih.",
    ],
    [
        "Versi 2.3.1 sudah keluar.",
        "Muat turun fail laporan.pdf sekarang.",
        "IP ialah 192.168.0.1.",
        "Jangan kongsi.",
    ],
    [
        "YB Dato' Sri Hj. Fadillah b. Hj. Yusof merasmikan majlis.",
        "Turut hadir, Pn. Hjh. Rokiah bt. Osman.",
    ],
    [
        "Apa?!",
        "Betulkah!!!",
        "Wah... hebat.",
        "Ya ke?",
        "Ya!",
    ],
    [
        "Bil. air bulan ini RM 20.",
        "Bil elektrik pula RM150.",
        "Mahal!",
    ],
    [
        "sy dah makan.",
        "nak tido dlm. bilik.",
        "ok bye",
    ],
    [
        "Markah Ali 5.",
        "Markah Abu 7.",
        "Siapa menang?",
    ],
    [
        "Pasukan menang 3-1.",
        "Jaringan oleh F. Hakimi (12 min.), S. Kumar dan lain-lain.",
        "Tahniah.",
    ],
    [
        "(Nota: Ini penting.)",
        "Sila baca.",
        "[Sumber: KPM.]",
        "Terima kasih.",
    ],
    [
        'Dia kata "Saya tak tahu."',
        "Kemudian dia pergi.",
    ],
    [
        "a) Isi borang.",
        "b) Hantar.",
        "c) Tunggu.",
    ],
    [
        "Prof. Madya Dr. Aini, Ir. Lim dan Ts. Kumar hadir.",
        "En. Lee tidak.",
    ],
    ["Makan vitamin C.", "Ia baik.", "Saya dalam kelas B.", "Dia pun sama."],
    ["Bil. air bulan ini RM 20.", "Bil elektrik pula RM150.", "Mahal!"],
    ["Bahan-bahannya: 1. Gula 2. Garam 3. Tepung.", "Gaul semuanya."],
    ["Tarikh: 31.12.2026.", "Masa: 8.30 mlm.", "Tempat: Dewan A, Tkt. 3."],
    ["Kos 3.5 juta ringgit.", "Jumlah 1,234.50 sahaja.", "Betul?"],
    ["Mr. Smith met Mrs. Jones at St. John's.", "They left at 5 p.m.", "It rained."],
    ["See fig. 3, e.g. the red line.", "It costs approx. $5.", "Fine."],
    ["Kata guru, “Diam!”", "Murid terdiam.", "‘Baik,’ kata mereka."],
]

"""What a plant's people would have typed. All names of firms and people are invented."""

SITES = ("Nordhafen plant", "Brookfield plant", "Sankt Veit plant")
BUILDINGS = (
    "Boiler house", "Pump station", "Compressor room", "Packing hall", "Raw material store", "Mixing hall",
    "Cooling tower yard", "Water treatment", "Finished goods warehouse", "Workshop", "Spare parts store", "Substation",
)  # fmt: skip
AREAS = ("North bay", "South bay", "Mezzanine", "Line 1", "Line 2", "Line 3", "Basement", "Roof")
STREETS = ("Werftstrasse 18, 24143 Kiel", "1400 Mill Road, Akron OH 44311", "Industriepark 7, 9300 Sankt Veit")

MACHINES = {
    "Centrifugal pump": (
        "P",
        "Halvorsen",
        ("HX-65", "HX-80", "HX-100"),
        ("Seal leaks", "Vibration high", "Cavitation"),
    ),
    "Screw compressor": ("C", "Kestrel Air", ("KA-37", "KA-75"), ("Oil carry-over", "Runs hot", "Separator change")),
    "Belt conveyor": ("BC", "Transvia", ("TV-600", "TV-1000"), ("Belt drifts", "Idler seized", "Belt splice worn")),
    "Gearbox": ("GB", "Radwerk", ("RW-2.1", "RW-3.4"), ("Oil change", "Tooth wear", "Shaft seal leaks")),
    "Boiler": ("B", "Ferrotherm", ("FT-8", "FT-12"), ("Annual inspection", "Burner fault", "Low water trip")),
    "Cooling fan": ("F", "Aerolume", ("AL-900", "AL-1200"), ("Bearing noisy", "Blade pitch check", "Belt slack")),
    "Filling machine": ("FM", "Dosatech", ("DT-12", "DT-24"), ("Dose drifts", "Valve stuck", "Guard switch fault")),
    "Palletizer": ("PZ", "Stackline", ("SL-4", "SL-6"), ("Gripper slips", "Light curtain trips", "Chain stretched")),
}
PARTS = (
    ("Mechanical seal", ("25 mm", "35 mm", "45 mm", "60 mm"), "Seals", 8_900),
    ("Deep groove ball bearing", ("6204-2RS", "6206-2RS", "6308-C3", "6312-C3"), "Bearings", 1_450),
    ("Spherical roller bearing", ("22212", "22216", "22220"), "Bearings", 14_200),
    ("V-belt", ("SPA 1250", "SPB 1800", "SPC 2650"), "Belts", 1_180),
    ("O-ring", ("20x3 NBR", "48x3.5 FKM", "110x5.3 EPDM"), "Seals", 95),
    ("Gear oil", ("ISO VG 220, 20 l", "ISO VG 320, 20 l"), "Lubricants", 9_600),
    ("Air filter element", ("KA-37", "KA-75"), "Filters", 6_350),
    ("Oil filter", ("M27", "M33"), "Filters", 2_240),
    ("Conveyor idler", ("89 mm x 600", "108 mm x 1000"), "Conveyor", 3_900),
    ("Proximity switch", ("M12 PNP", "M18 PNP"), "Electrical", 2_780),
    ("Contactor", ("18 A 24 V", "40 A 230 V"), "Electrical", 5_150),
    ("Coupling insert", ("42 shore 92", "55 shore 98"), "Couplings", 2_060),
    ("Solenoid valve", ("G1/4 24 V", "G1/2 24 V"), "Valves", 7_420),
    ("Pressure gauge", ("0-10 bar", "0-25 bar"), "Instruments", 1_990),
)
VENDOR_FIRST = ("Nordring", "Halberg", "Castellan", "Ostmark", "Brindle", "Veridian", "Kaltwasser", "Pellworm", "Arden")
VENDOR_LAST = ("Dichtungen GmbH", "Bearings Ltd", "Industrial Supply", "Antriebstechnik", "Fluid Power", "Electric Co")
TERMS = ("30 days net", "14 days 2 %", "60 days net")
FIRST_NAMES = ("Ines", "Jonas", "Mara", "Tomas", "Aylin", "Piet", "Greta", "Rahul", "Noor", "Emil")
LAST_NAMES = ("Albrecht", "Weber", "Lindqvist", "Okafor", "Sandoval", "Brandt", "Novak", "Hirsch", "Petrov", "Quist")
CATEGORIES = ("Mechanical", "Electrical", "Safety", "Inspection", "Lubrication", "Cleaning")
DOWN_REASONS = ("Wear", "Operator error", "Material fault", "Unknown")

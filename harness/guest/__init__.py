"""What runs inside a machine; plain files that the host sends there, never imported by what runs here."""

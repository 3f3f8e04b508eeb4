"""A reader with two slots that exists in software: a private pcscd, and card images to put into it."""

"""The common domain, where renderings and scans meet: silhouettes, depth, landmarks and their storage."""

"""mirrorpy against real programs: nginx shows an upstream, createrepo_c describes it, dnf is the client."""

"""Registry consistency: does everything the registries say of each other, of the chain and of the log hold?"""

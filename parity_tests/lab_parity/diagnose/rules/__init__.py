"""Update rules of torch's optimizers, and of copies of them, whose settings nobody tells: what one step tells of them.

One rule per file; each is found here by standing here, and offers

    tell(seen)    the settings by which one side's captured step follows this rule; None where it does not
"""

"""What is valid and which branch wins.

Read `contracts` for what this layer needs of others, `tree` for the blocks a node knows, `forkchoice`
for the branch it follows and `duties` for the promise it keeps about what it acknowledged.
"""

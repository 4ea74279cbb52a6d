"""How peers talk, without a socket: messages, addresses, whom to dial when, and what a broken rule costs."""

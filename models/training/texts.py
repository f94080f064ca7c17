"""What the voices say besides commands: sentences and words, apart for training, validation and test."""

from __future__ import annotations

SENTENCES = {
    "train": (
        "What is the weather like in Lisbon tomorrow?",
        "I think we should leave before the rain starts.",
        "She sold her bicycle to the neighbour across the street.",
        "Turn on the lights in the living room, please.",
        "Alexa, how long does it take to boil an egg?",
        "Hey Jarvis, set a timer for ten minutes.",
        "Okay Nabu, what time is it?",
        "Hey Mycroft, add milk and bread to my shopping list.",
        "The committee will publish its findings early next week.",
        "He went to the back of the house and found the key.",
        "There is no reason to stop the engine now.",
        "Yes, I know that you were there yesterday.",
        "Could you answer the question before we go on?",
        "We had to cancel the flight and pause the payments.",
        "My sister plays the violin and her brother sings.",
        "Nine hundred and forty three people came to the concert.",
        "Please put the boxes on the upper shelf.",
        "It was louder than I had expected it to be.",
        "The old mill by the river was turned into a museum.",
        "Do not forget to call your mother tonight.",
        "A quick brown fox jumps over the lazy dog.",
        "They took the next train back to the city.",
        "How many teaspoons are there in a cup?",
        "The kitchen is quieter than the street outside.",
        "You may resume your seats, ladies and gentlemen.",
        "Our meeting has been moved to Thursday afternoon.",
        "Give me a moment, I am looking for my glasses.",
        "The doctor said it was nothing to worry about.",
        "Mute swans are among the heaviest birds that fly.",
        "Who wrote the book that you were reading?",
        "Set the thermostat to twenty one degrees.",
        "In spring the meadow is covered with flowers.",
        "Lock the front door and switch off the fan.",
        "That was a very good idea, thank you so much.",
        "The price of coffee has doubled since last year.",
        "Play some music by the band from yesterday.",
    ),
    "validation": (
        "Where did you put the remote control?",
        "The parcel should arrive on Monday morning.",
        "I would like a table for four near the window.",
        "Alexa, turn down the heating in the bathroom.",
        "No one answered when I knocked at the back door.",
        "Her next exhibition opens in the autumn.",
        "Stop worrying about it, everything is fine.",
        "Seventeen ships were waiting outside the harbour.",
        "Remind me to water the plants at six o'clock.",
        "The children were building a castle of sand.",
        "Is there a bakery somewhere around here?",
        "Yes, we have more of those in the cellar.",
    ),
    "test": (
        "Good morning, did you sleep well?",
        "The engineer explained how the bridge was built.",
        "Switch off the lamp in the bedroom, please.",
        "We walked along the beach until it got dark.",
        "Okay Nabu, is the garage closed?",
        "They had never seen so many stars before.",
        "I am going back to work next month.",
        "Can you tell me the way to the station?",
        "Nobody expected an answer before the weekend.",
        "Fifteen minutes later the storm was over.",
        "Yes and no, it depends on whom you ask.",
        "The bus does not stop at the town hall any more.",
        "Add two lemons and a little salt to the soup.",
        "This jacket is too small for my cousin.",
        "Put the resume on my desk and cancel the order.",
        "He paused for a while, then he spoke louder.",
    ),
}

# Words that share sounds with commands of a phone, and everyday words that do not.
_WORDS = {
    "train": "top shop step stock stomp stuff spot star story candle castle council handle camera camel channel"
    " cattle yet yesterday guess chess less jazz yeah yellow knowing note nobody go low snow north mode"
    " nose ladder powder later lover loud lounge loudly proud quite quick quiet diet writer water wire"
    " fire cute moot move music new moon minute cause pass boss post paw horse pose room assume zoom"
    " presume reason result zoo text nest neck mixed necklace exit nets best bag pack black bad bike bark"
    " bat buck dancer hamster chance ants enter and anchor under other hello please thanks phone battery"
    " okay one two three four five six seven eight nine ten up down left right on off open close start"
    " begin call message photo home Monday table window",
    "validation": "shot stopwatch scandal counsel ankle yell mess toe knob lawyer powerful riot quota mood commute"
    " clause possum perfume consume context necked bank beck advance banter evening garden seventy paper"
    " yoghurt",
    "test": "stall swap stamp cancer canvas tassel yesteryear dress nope lead louvre flower quarter quarrel"
    " dieter muse beauty applause costume volume vexed next-door bath backpack transfer glamour kitchen"
    " river twenty picture",
}
WORDS = {split: tuple(words.split()) for split, words in _WORDS.items()}

WAKE_WORDS = ("Alexa", "Hey Jarvis", "Okay Nabu", "Hey Mycroft")

# Tasks take samples or features in and give events out.

from services.matching.app import run

run()

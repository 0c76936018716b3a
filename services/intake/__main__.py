from services.intake.app import run

run()
